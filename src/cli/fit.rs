//! How the candidate's tensors are found among the model's, where they have other names or layouts: the flags.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::tensor::moved::Order;

/// Other names, other layouts.
#[derive(Args, Debug, Clone, Default, PartialEq, Eq)]
pub struct FitArgs {
    /// Which stored array is which tensor: a file of lines THEIRS=OURS or a JSON object, or by shapes, order and values
    #[arg(long, value_name = "FILE|auto", help_heading = "Names and layouts")]
    pub map: Option<Map>,
    /// Where the candidate's channels are, against the model's [default: by shapes and values]
    #[arg(long, value_enum, value_name = "LAYOUT", help_heading = "Names and layouts")]
    pub layout: Option<Layout>,
}

/// `--map`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Map {
    /// What no name tells is paired by shape, order and values.
    Auto,
    /// Pairs that somebody wrote down.
    File(PathBuf),
}

impl FromStr for Map {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Map, Infallible> {
        Ok(if text == "auto" { Map::Auto } else { Map::File(text.into()) })
    }
}

/// `--layout`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// Channels last, where the model has them first
    Nhwc,
    /// Channels first, where the model has them last; else as they are
    Nchw,
}

impl FitArgs {
    /// Where the channels are said to be.
    pub fn order(&self) -> Option<Order> {
        self.layout.map(|layout| match layout {
            Layout::Nhwc => Order::ChannelsLast,
            Layout::Nchw => Order::ChannelsFirst,
        })
    }

    /// The file of pairs, if there is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.map {
            Some(Map::File(path)) => Some(path),
            Some(Map::Auto) | None => None,
        }
    }

    /// As words of a command line.
    pub fn words(&self) -> Vec<String> {
        let map = self.map.as_ref().map(|map| match map {
            Map::Auto => "auto".to_string(),
            Map::File(path) => path.display().to_string(),
        });
        let layout =
            self.layout.and_then(|layout| layout.to_possible_value()).map(|value| value.get_name().to_string());
        let flags = [("--map", map), ("--layout", layout)];
        flags.into_iter().filter_map(|(flag, value)| Some([flag.to_string(), value?])).flatten().collect()
    }
}
