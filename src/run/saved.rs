use super::*; pub struct Saved{} impl Saved{ pub fn load(_:&std::path::Path)->anyhow::Result<Saved>{Ok(Saved{})} }
impl Backend for Saved { fn info(&self)->BackendInfo{Default::default()} fn run(&self,_m:&Lean,_f:&[Tensors],_o:&[String])->Result<Vec<Tensors>,RunError>{ Err(RunError::Interrupted) } }
