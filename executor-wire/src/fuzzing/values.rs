//! Types to decode: those that contain themselves, and those whose own code misbehaves.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// Contains itself in every way there is.
#[derive(Debug, Serialize, Deserialize)]
pub enum Tree {
    /// Nothing.
    Leaf,
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
    /// In a sequence.
    Branches(Vec<Tree>),
    /// In a map.
    Named(BTreeMap<String, Tree>),
    /// In fields.
    Fork {
        /// One.
        left: Option<Box<Tree>>,
        /// The other.
        right: Option<Box<Tree>>,
    },
    /// In a tuple.
    Knot(Box<(Tree, u8)>),
}

/// Elements that are large in memory and one byte when encoded, in each other.
#[derive(Debug, Serialize, Deserialize)]
pub enum Bush {
    /// One byte.
    Twig,
    /// More of the kind.
    Bough(Vec<Bush>, [u64; 16]),
}

/// A list as functional languages have it.
#[derive(Debug, Serialize, Deserialize)]
pub enum List {
    /// Its end.
    Nil,
    /// An element, and the rest.
    Cons(u32, Box<List>),
}

/// Contains itself, and nothing else.
#[derive(Debug, Serialize, Deserialize)]
pub struct Chain(Option<Box<Chain>>);

/// A record of everyday fields.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    number: u64,
    text: String,
    shapes: Vec<Shape>,
    nothing: (),
}

#[derive(Debug, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Newtype(i32),
    Tuple(u8, f64),
    Fields { x: i64, y: Option<Option<char>> },
}

/// Panics instead of being 13.
#[derive(Debug, Serialize)]
pub struct Moody(u8);

impl<'de> Deserialize<'de> for Moody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            // Without the panic hook, which in a fuzzer ends the process.
            13 => std::panic::resume_unwind(Box::new("not 13")),
            number => Ok(Self(number)),
        }
    }
}
