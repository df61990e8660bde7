//! Types to decode: those that contain themselves, and those whose own code misbehaves.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// Contains itself in every way there is.
#[derive(Serialize, Deserialize)]
pub(super) enum Tree {
    Leaf,
    Number(i64),
    Text(String),
    Branches(Vec<Tree>),
    Named(BTreeMap<String, Tree>),
    Fork { left: Option<Box<Tree>>, right: Option<Box<Tree>> },
    Knot(Box<(Tree, u8)>),
}

/// Elements that are large in memory and one byte when encoded, in each other.
#[derive(Serialize, Deserialize)]
pub(super) enum Bush {
    Twig,
    Bough(Vec<Bush>, [u64; 16]),
}

#[derive(Serialize, Deserialize)]
pub(super) enum List {
    Nil,
    Cons(u32, Box<List>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Chain(Option<Box<Chain>>);

#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    number: u64,
    text: String,
    shapes: Vec<Shape>,
    nothing: (),
}

#[derive(Serialize, Deserialize)]
enum Shape {
    Nothing,
    Newtype(i32),
    Tuple(u8, f64),
    Fields { x: i64, y: Option<Option<char>> },
}

/// Panics instead of being 13.
#[derive(Serialize)]
pub(super) struct Moody(u8);

impl<'de> Deserialize<'de> for Moody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            // Without the panic hook, which in a fuzzer ends the process.
            13 => std::panic::resume_unwind(Box::new("not 13")),
            number => Ok(Self(number)),
        }
    }
}
