//! Round trips, against postcard's own bytes; and bytes and types that mean ill.

use super::decode::read;
use super::limits::{FREE_ELEMENTS, LEVELS};
use super::*;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serializer, ser};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet, LinkedList, VecDeque};
use std::fmt::{self, Debug};
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::time::Duration;

fn encoded<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut Output::new(&mut bytes)).expect("has an encoding");
    bytes
}

/// Encodes as postcard does, decodes to the same, and no part of the bytes is a value that fills it with nothing missing.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug + 'static>(value: &T) {
    let bytes = encoded(value);
    assert_eq!(bytes, postcard::to_stdvec(value).expect("has an encoding"));
    assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value));
    for end in 0..bytes.len() {
        decode::<T>(&bytes[..end]).expect_err("the end is missing");
    }
    let mut longer = bytes.clone();
    longer.push(1);
    decode::<T>(&longer).expect_err("there is more than the value");
    let mut rest = longer.as_slice();
    assert_eq!(read::<T>(&mut rest).ok().as_ref(), Some(value));
    assert_eq!(rest, [1]);
}

fn refusal<T: DeserializeOwned + Debug + 'static>(bytes: &[u8]) -> String {
    decode::<T>(bytes).expect_err("is refused")
}

fn refusal_to_encode<T: Serialize + ?Sized>(value: &T) -> String {
    let mut bytes = vec![1, 2, 3];
    let text = encode(value, &mut Output::new(&mut bytes)).expect_err("is refused");
    assert_eq!(bytes, [1, 2, 3]);
    text
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Named {
    id: u64,
    text: String,
    inner: Option<Box<Named>>,
    shapes: Vec<Shape>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
enum Shape {
    Nothing,
    Newtype(i32),
    Tuple(u8, f64),
    Fields { x: i64, y: Option<Option<char>> },
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Unit;

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Newtype(Vec<u16>);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Pair(u8, String);

#[derive(Serialize, Deserialize, Debug)]
enum List {
    Nil,
    Cons(u32, Box<List>),
}

impl List {
    fn of(length: u32) -> Self {
        (0..length).fold(Self::Nil, |rest, number| Self::Cons(number, Box::new(rest)))
    }
}

impl Drop for List {
    /// In a loop: a long list is dropped within a test's small stack.
    fn drop(&mut self) {
        let mut rest = match self {
            Self::Nil => return,
            Self::Cons(_, rest) => std::mem::replace(&mut **rest, Self::Nil),
        };
        while let Self::Cons(_, next) = &mut rest {
            let next = std::mem::replace(&mut **next, Self::Nil);
            rest = next;
        }
    }
}

fn named() -> Named {
    let shapes = vec![
        Shape::Nothing,
        Shape::Newtype(-70_000),
        Shape::Tuple(200, -0.0),
        Shape::Fields { x: i64::MIN, y: Some(Some('\u{10ffff}')) },
        Shape::Fields { x: i64::MAX, y: Some(None) },
        Shape::Fields { x: -1, y: None },
    ];
    let inner = Named { id: 3, text: String::new(), inner: None, shapes: Vec::new() };
    Named { id: u64::MAX, text: "größer".to_owned(), inner: Some(Box::new(inner)), shapes }
}

#[test]
fn numbers_of_every_size_cross() {
    for shift in 0..64 {
        for near in [u64::MAX, 0, 1] {
            let number = (1_u64 << shift).wrapping_add(near);
            check(&number);
            check(&number.cast_signed());
            check(&number.wrapping_neg().cast_signed());
            check(&(number as u32));
            check(&(number as i32));
            check(&(number as u16));
            check(&(number as i16));
            check(&(number as usize));
            // Behind others, so that the last bytes of the input are not those of the number.
            check(&(number, number.cast_signed(), [number as u16; 3], 0_u64, 0_u64));
        }
    }
    check(&(u8::MAX, i8::MIN, u16::MAX, i16::MIN, u32::MAX, i32::MIN, u64::MAX, i64::MIN));
    check(&(u128::MAX, i128::MIN, i128::MAX, 0_u128));
    check(&(true, false, (), 'a', 'ß', '\u{10ffff}', f32::MIN_POSITIVE, f64::INFINITY));
}

#[test]
fn floats_keep_their_bits() {
    for bits in [0x7ff8_0000_dead_beef_u64, 0xfff0_0000_0000_0001, 0x8000_0000_0000_0000] {
        let back: f64 = decode(&encoded(&f64::from_bits(bits))).expect("crosses");
        assert_eq!(back.to_bits(), bits);
        let bits = (bits >> 32) as u32;
        let back: f32 = decode(&encoded(&f32::from_bits(bits))).expect("crosses");
        assert_eq!(back.to_bits(), bits);
    }
}

#[test]
fn types_of_every_kind_cross() {
    check(&named());
    check(&(Unit, Newtype(vec![0, 1, 127, 128, 16_383, 16_384, u16::MAX]), Pair(7, "seven".to_owned())));
    check(&vec![Some(Some(1_u8)), Some(None), None]);
    check(&[String::new(), "x".repeat(200), "日本語".to_owned()]);
    check(&Ok::<u8, String>(3));
    check(&Err::<u8, String>("no".to_owned()));
    check(&(Duration::new(5, 7), NonZeroU64::MIN, IpAddr::from([127, 0, 0, 1])));
    check(&[[1_u8; 32]; 4]);
}

#[test]
fn collections_cross() {
    check(&(0..300_u32).map(|number| (number, number.to_string())).collect::<HashMap<_, _>>());
    check(&BTreeMap::from([("a".to_owned(), vec![1_i64, -1]), ("b".to_owned(), vec![])]));
    check(&HashSet::from([1_u8, 2, 3]));
    check(&VecDeque::from([1_u8, 2, 255]));
    check(&LinkedList::from([1.5_f32, 2.5]));
    check(&vec![vec![vec![1_u64], vec![]], vec![]]);
    check(&(vec![i8::MIN, -1, 0, i8::MAX], vec![true, false, true], Vec::<u8>::new()));
    check(&vec![0xab_u8; 600].into_boxed_slice());
}

#[test]
fn bytes_and_what_is_borrowed_encode_alike() {
    struct Bytes<'a>(&'a [u8]);
    impl Serialize for Bytes<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(self.0)
        }
    }
    #[derive(PartialEq, Debug)]
    struct Read(Vec<u8>);
    impl<'de> Deserialize<'de> for Read {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Whole;
            impl<'de> Visitor<'de> for Whole {
                type Value = Read;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Read, E> {
                    Ok(Read(bytes.to_vec()))
                }
            }
            deserializer.deserialize_bytes(Whole)
        }
    }
    let bytes = encoded(&Bytes(&[0, 128, 255]));
    assert_eq!(bytes, encoded(&vec![0_u8, 128, 255]));
    assert_eq!(decode(&bytes), Ok(Read(vec![0, 128, 255])));
    assert_eq!(encoded("text"), encoded(&"text".to_owned()));
    assert_eq!(encoded(&[1_u8, 2][..]), encoded(&vec![1_u8, 2]));
}

#[test]
fn elements_that_are_bytes_only_sometimes_keep_their_places() {
    #[derive(Clone, Copy)]
    enum Mixed {
        Byte(u8),
        Number(u64),
        Text(&'static str),
    }
    impl Serialize for Mixed {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match *self {
                Self::Byte(byte) => serializer.serialize_u8(byte),
                Self::Number(number) => serializer.serialize_u64(number),
                Self::Text(text) => serializer.serialize_str(text),
            }
        }
    }
    use Mixed::{Byte, Number, Text};
    let all = [Byte(1), Text("two"), Byte(0), Byte(0), Number(1 << 40), Text(""), Byte(7), Number(3)];
    for start in 0..all.len() {
        for end in start..all.len() {
            let part = &all[start..=end];
            assert_eq!(encoded(part), postcard::to_stdvec(part).expect("has an encoding"));
        }
    }
    let failing = [Byte(1), Text("x")].map(|mixed| Labelled(mixed, !matches!(mixed, Byte(_))));
    struct Labelled(Mixed, bool);
    impl Serialize for Labelled {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.1 { Err(ser::Error::custom("not today")) } else { self.0.serialize(serializer) }
        }
    }
    assert_eq!(refusal_to_encode(&failing[..]), "not today");
}

#[test]
fn the_length_may_be_unknown_beforehand() {
    struct Filtered(Vec<u32>);
    impl Serialize for Filtered {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.0.iter().filter(|number| *number % 2 == 0))
        }
    }
    let bytes = encoded(&vec![Filtered((0..1000).collect()), Filtered(vec![1])]);
    let even: Vec<u32> = (0..1000).step_by(2).collect();
    assert_eq!(decode(&bytes), Ok(vec![even, vec![]]));

    struct Pairs;
    impl Serialize for Pairs {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map((0..20_u8).filter(|key| *key > 17).map(|key| (key, "value")))
        }
    }
    let expected = BTreeMap::from([(18_u8, "value".to_owned()), (19, "value".to_owned())]);
    assert_eq!(decode(&encoded(&Pairs)), Ok(expected));
}

#[test]
fn a_wrong_length_is_refused() {
    struct Announced(usize);
    impl Serialize for Announced {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use ser::SerializeSeq;
            let mut elements = serializer.serialize_seq(Some(self.0))?;
            elements.serialize_element(&1_u8)?;
            elements.end()
        }
    }
    assert_eq!(encoded(&Announced(1)), [1, 1]);
    assert!(refusal_to_encode(&Announced(0)).contains("has 1 elements, but its Serialize announced 0"));
    assert!(refusal_to_encode(&Announced(usize::MAX)).contains("announced 18446744073709551615"));
}

#[test]
fn fields_that_come_and_go_are_refused() {
    #[derive(Serialize)]
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<u8>,
    }
    assert_eq!(encoded(&Sparse { note: Some(1) }), [1, 1]);
    assert!(refusal_to_encode(&Sparse { note: None }).contains("`note` is left out"));
}

#[test]
fn types_that_ask_what_the_data_is_are_refused() {
    #[derive(Serialize, Deserialize, Debug)]
    #[serde(untagged)]
    enum Untagged {
        Number(u8),
    }
    #[derive(Serialize, Deserialize, Debug)]
    struct Flattened {
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    #[derive(Serialize, Deserialize, Debug)]
    #[serde(tag = "kind")]
    enum Tagged {
        One { number: u8 },
    }
    #[derive(Serialize, Deserialize, Debug)]
    #[serde(tag = "kind", content = "content")]
    enum Adjacent {
        Number(u8),
    }
    let flattened = Flattened { rest: BTreeMap::from([("a".to_owned(), 1)]) };
    assert!(refusal::<Flattened>(&encoded(&flattened)).contains("without #[serde(flatten)]"));
    assert!(refusal::<Untagged>(&encoded(&Untagged::Number(1))).contains("#[serde(untagged)]"));
    assert!(refusal::<Tagged>(&encoded(&Tagged::One { number: 1 })).contains("#[serde(tag"));
    assert!(refusal::<Adjacent>(&encoded(&Adjacent::Number(1))).contains("#[serde(tag"));
    assert!(refusal::<serde::de::IgnoredAny>(&[1]).contains("do not say which type they are"));
}

#[test]
fn texts_of_the_types_own_code_are_kept() {
    #[derive(Serialize, Deserialize, Debug)]
    struct Even(#[serde(deserialize_with = "even")] u8);
    fn even<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
        let number = u8::deserialize(deserializer)?;
        if number % 2 == 0 { Ok(number) } else { Err(serde::de::Error::custom(format!("{number} is odd"))) }
    }
    assert_eq!(refusal::<Vec<Even>>(&encoded(&vec![2_u8, 3])), "3 is odd");
    assert!(refusal::<NonZeroU64>(&[0]).contains("nonzero"));
    assert!(refusal::<Shape>(&[9]).contains("variant index"));
    let held = std::cell::RefCell::new(1_u8);
    let _guard = held.borrow_mut();
    assert!(refusal_to_encode(&held).contains("already mutably borrowed"));
}

#[test]
fn nesting_is_limited_both_ways() {
    let short: List = decode(&encoded(&List::of(100))).expect("crosses");
    assert!(matches!(short, List::Cons(99, _)));
    decode::<List>(&encoded(&List::of(LEVELS))).expect("crosses");
    for length in [LEVELS + 1, 10_000] {
        let list = List::of(length);
        assert_eq!(refusal_to_encode(&list), "the value is nested more than 256 levels deep");
        let bytes = [[1, 5].repeat(length as usize), vec![0]].concat();
        assert_eq!(refusal::<List>(&bytes), "the value is nested more than 256 levels deep");
    }
}

#[test]
fn every_container_is_a_level() {
    #[derive(Serialize, Deserialize, Debug)]
    struct Newtype(Option<Box<Newtype>>);
    #[derive(Serialize, Deserialize, Debug)]
    struct Elements {
        elements: Vec<Elements>,
    }
    #[derive(Serialize, Deserialize, Debug)]
    enum Variants {
        Newtype(BTreeMap<u8, Variants>),
        Fields { pair: Box<(u8, Variants)> },
    }
    let text = "the value is nested more than 256 levels deep";
    // Each has its own bytes for one level more, over and over.
    assert_eq!(refusal::<Newtype>(&[1; 1000]), text);
    assert_eq!(refusal::<Elements>(&[1; 1000]), text);
    assert_eq!(refusal::<Variants>(&[0, 1, 5].repeat(1000)), text);
    assert_eq!(refusal::<Variants>(&[1, 5].repeat(1000)), text);
    let newtype = (0..128).fold(Newtype(None), |inner, _| Newtype(Some(Box::new(inner))));
    assert_eq!(refusal_to_encode(&newtype), text);
    let elements = (0..128).fold(Elements { elements: vec![] }, |inner, _| Elements { elements: vec![inner] });
    assert_eq!(refusal_to_encode(&elements), text);
    let variants = (0..86).fold(Variants::Newtype(BTreeMap::new()), |inner, _| {
        Variants::Newtype(BTreeMap::from([(1, Variants::Fields { pair: Box::new((1, inner)) })]))
    });
    assert_eq!(refusal_to_encode(&variants), text);
}

#[test]
fn elements_without_bytes_are_limited() {
    check(&vec![(); 100_000]);
    check(&vec![(); FREE_ELEMENTS]);
    check(&vec![vec![(); 1000]; 20]);
    // Elements that were counted one by one would never come to an end.
    for length in [FREE_ELEMENTS as u64 + 100, u64::from(u32::MAX), u64::MAX] {
        let bytes = encoded(&length);
        assert!(refusal::<Vec<()>>(&bytes).contains("without bytes of their own"));
        assert!(refusal::<Vec<Unit>>(&bytes).contains("without bytes of their own"));
        assert!(refusal::<LinkedList<[u8; 0]>>(&bytes).contains("without bytes of their own"));
        assert!(refusal::<HashMap<(), ()>>(&bytes).contains("without bytes of their own"));
        refusal::<Vec<Vec<()>>>(&[&[2], bytes.as_slice(), &bytes].concat());
    }
    // In all, not in each.
    let half = encoded(&(FREE_ELEMENTS as u64 / 2 + 100));
    refusal::<(Vec<()>, Vec<()>)>(&[half.as_slice(), &half].concat());
    let mut bytes = Vec::new();
    assert!(encode(&vec![(); 2 * FREE_ELEMENTS], &mut Output::new(&mut bytes)).is_err());
    assert!(bytes.is_empty());
}

#[test]
fn lengths_that_are_lies_are_refused() {
    for length in [u64::MAX, u64::MAX - 1, i64::MAX as u64, 1 << 40, 1000] {
        let mut bytes = encoded(&length);
        bytes.extend([1; 100]);
        refusal::<String>(&bytes);
        refusal::<Vec<u8>>(&bytes);
        refusal::<Vec<u64>>(&bytes);
        refusal::<Vec<[u64; 32]>>(&bytes);
        refusal::<Vec<String>>(&bytes);
        refusal::<HashMap<String, u8>>(&bytes);
        refusal::<BTreeMap<u8, Vec<u8>>>(&bytes);
        refusal::<Vec<Vec<Vec<u8>>>>(&bytes);
        refusal::<char>(&bytes);
        refusal::<IpAddr>(&bytes);
    }
    assert_eq!(refusal::<u64>(&[0xff; 11]), "the bytes have a number that is too large for its type");
    assert_eq!(
        refusal::<u16>(&[0xff, 0xff, 0x7f, 0, 0, 0, 0, 0]),
        "the bytes have a number that is too large for its type"
    );
    assert_eq!(refusal::<u64>(&[]), "the bytes end before the value does");
    assert_eq!(refusal::<bool>(&[2]), "the bytes have a bool that is neither true nor false");
    assert_eq!(refusal::<Option<u8>>(&[2]), "the bytes have an Option that is neither None nor Some");
    assert_eq!(refusal::<String>(&[1, 0xff]), "the bytes have a string that is not UTF-8");
    assert_eq!(refusal::<u8>(&[1, 2, 3]), "2 bytes are left behind the value");
}

thread_local!(static HINT: Cell<Option<usize>> = const { Cell::new(None) });

/// Notes what a sequence says of its length, and reads so many elements.
#[derive(Debug)]
struct Peek<const READ: usize>;

impl<'de, const READ: usize> Deserialize<'de> for Peek<READ> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self)
    }
}

impl<'de, const READ: usize> Visitor<'de> for Peek<READ> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        HINT.set(elements.size_hint());
        for _ in 0..READ {
            elements.next_element::<u8>()?;
        }
        Ok(self)
    }
}

#[test]
fn room_is_asked_for_only_where_bytes_are() {
    decode::<Peek<3>>(&[3, 1, 2, 3]).expect("is a sequence");
    assert_eq!(HINT.get(), Some(3));
    refusal::<Peek<3>>(&[4, 1, 2, 3]);
    assert_eq!(HINT.get(), None);
}

/// A few bytes that claim to be many in each of a hundred sequences, each in the one before, would have room reserved for all.
#[test]
fn bytes_that_are_owed_elsewhere_are_not_counted_again() {
    // Three sequences: the first may not take for its own what the others need at least.
    decode::<Vec<Peek<2>>>(&[3, 2, 1, 1, 2, 1, 1, 2, 1, 1]).expect("is a sequence");
    assert_eq!(HINT.get(), Some(2));
    refusal::<Vec<Peek<4>>>(&[3, 4, 1, 2, 3, 4]);
    assert_eq!(HINT.get(), None);
    refusal::<BTreeMap<u8, Peek<4>>>(&[2, 9, 4, 1, 2, 3, 4]);
    assert_eq!(HINT.get(), None);
    // What comes after the others owes nothing any more.
    decode::<(Vec<u8>, Peek<1>)>(&[2, 1, 1, 1, 1]).expect("are two");
    assert_eq!(HINT.get(), Some(1));
    decode::<Vec<(Vec<u8>, Peek<1>)>>(&[1, 1, 1, 1, 1]).expect("is a sequence of two");
    assert_eq!(HINT.get(), Some(1));
}

#[test]
fn elements_left_unread_are_not_taken_for_what_follows() {
    let text = refusal::<(Peek<1>, u8)>(&[4, 1, 2, 3, 4, 5]);
    assert_eq!(text, "the type's Deserialize left 3 elements of a sequence or map unread");
}

#[test]
fn after_an_error_the_callers_bytes_are_as_before() {
    let bytes = [2, 1];
    let mut rest = &bytes[..];
    assert!(read::<Vec<u8>>(&mut rest).is_err(), "the end is missing");
    assert_eq!(rest, [2, 1]);

    struct Panics;
    impl Serialize for Panics {
        fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
            panic!("on purpose")
        }
    }
    let mut out = vec![1, 2, 3];
    let panicked =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| encode(&(9_u8, Panics), &mut Output::new(&mut out))));
    assert!(panicked.is_err());
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn a_failing_display_is_an_error() {
    struct Fails;
    impl fmt::Display for Fails {
        fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    struct Text<T>(T);
    impl<T: fmt::Display> Serialize for Text<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&self.0)
        }
    }
    assert_eq!(refusal_to_encode(&Text(Fails)), "the value's Display failed");
    assert_eq!(decode(&encoded(&Text(17))), Ok("17".to_owned()));
}

/// Numbers of every length, whole and too long, with every kind of last byte.
#[test]
fn numbers_of_any_length_are_read_as_postcard_reads_them() {
    fn compare<T: DeserializeOwned + PartialEq + Debug + 'static>(bytes: &[u8]) {
        let theirs = postcard::take_from_bytes::<T>(bytes).ok().filter(|(_, rest)| rest.is_empty());
        assert_eq!(decode::<T>(bytes).ok(), theirs.map(|(value, _)| value), "{bytes:?}");
    }
    for length in 0..20 {
        for fill in [0x80, 0x81, 0xff] {
            for last in 0..=255 {
                let bytes = [vec![fill; length].as_slice(), &[last]].concat();
                compare::<(u8, i8)>(&bytes);
                compare::<u16>(&bytes);
                compare::<i16>(&bytes);
                compare::<u32>(&bytes);
                compare::<i32>(&bytes);
                compare::<u64>(&bytes);
                compare::<i64>(&bytes);
                compare::<usize>(&bytes);
                compare::<u128>(&bytes);
                compare::<i128>(&bytes);
                compare::<bool>(&bytes);
                compare::<char>(&bytes);
                // Those with enough behind them are read at once.
                let more = [bytes.as_slice(), &[last; 8]].concat();
                compare::<(u16, [u8; 8])>(&more);
                compare::<(i16, [u8; 8])>(&more);
                compare::<(u32, [u8; 8])>(&more);
                compare::<(i32, [u8; 8])>(&more);
                compare::<(u64, [u8; 8])>(&more);
                compare::<(i64, [u8; 8])>(&more);
            }
        }
    }
}
