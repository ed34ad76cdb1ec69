use super::*; use crate::run::ort::Provider; use std::path::PathBuf;
pub struct Task{} impl Task{ pub fn new(_l:PathBuf,_p:Provider)->Task{Task{}} }
pub struct Worker{} impl Worker{ pub fn start(_t:&Task)->Result<Worker,RunError>{ Err(RunError::Missing("x".into())) } }
impl Backend for Worker { fn info(&self)->BackendInfo{Default::default()} fn run(&self,_m:&Lean,_f:&[Tensors],_o:&[String])->Result<Vec<Tensors>,RunError>{ Err(RunError::Interrupted) } }
