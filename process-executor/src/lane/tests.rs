//! A lane whose worker writes nonsense: random bytes all over the shared memory, between any two steps.

use super::Lane;
use crate::batch::Batch;
use crate::entry::{Entry, Payload};
use crate::function::FunctionTable;
use crate::image::Image;
use crate::layout::{SIZE, SLOTS, Shared};
use crate::link::Link;
use crate::system::{self, Access, Mapping};
use executor_core::remote::Initializer;
use executor_core::task::Task;
use std::sync::Arc;

/// Numbers without order, the same in each run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

fn nothing() -> Result<(), String> {
    Ok(())
}

/// A lane, its memory as a second mapping of the worker's would be, and a table with one function.
fn lane() -> (Lane, Mapping, FunctionTable, u32) {
    let memory = system::anonymous_memory("lane-test", SIZE).unwrap();
    let ours = Mapping::new(&memory, SIZE, Access::ReadWrite).unwrap();
    let theirs = Mapping::new(&memory, SIZE, Access::ReadWrite).unwrap();
    let mut functions = FunctionTable::default();
    let image = Image::of_this_process().unwrap();
    let Ok(number) = functions.number(Initializer::new(nothing).function, image) else { panic!("it is one of ours") };
    (Lane::new(Arc::new(Shared::new(ours).unwrap()), false), theirs, functions, number)
}

/// Words that mean something at the places where they are written, and words that mean nothing anywhere.
fn scribble(memory: &Mapping, random: &mut Random) {
    const TELLING: [u32; 12] = [0, 1, 2, 3, 4, 5, 6, 16, 17, 64, u32::MAX - 1, u32::MAX];
    // The head, and the slots with what lies around them.
    let start = if random.below(8) == 0 { 0 } else { SIZE - 2 * 16 * 256 * 1024 - SLOTS * 128 };
    for _ in 0..random.below(400) {
        let offset = (start + random.below(SLOTS * 128)) & !3;
        let word = match random.below(3) {
            0 => random.next() as u32,
            _ => TELLING[random.below(TELLING.len())],
        };
        // SAFETY: aligned, inside the mapping, and nobody runs beside this test's only thread.
        unsafe { memory.start().add(offset).cast::<u32>().write_volatile(word) };
    }
}

#[test]
fn whatever_the_worker_writes_each_task_comes_out_once() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..300 {
        let (mut lane, theirs, mut functions, number) = lane();
        let (mut put, mut out) = (0, 0);
        let mut batch = Batch::default();
        let link = Arc::new(Link::new(system::socket_pair().unwrap().0, None));
        for _ in 0..random.below(12) {
            for _ in 0..random.below(40) {
                let (task, _future) = Task::from_closure(|| ());
                let mut input = vec![7; random.below(200)];
                let entry = Entry::new(task, Payload::new(&mut input), number, Vec::new());
                if lane.has_room_for(&entry) {
                    lane.put(entry, &functions, 1 << 63);
                    put += 1;
                }
            }
            scribble(&theirs, &mut random);
            lane.collect(&mut functions, &link, &mut batch);
            out += lane.take_back(random.below(3)).len();
            lane.begin_oldest();
            let _ = (lane.running().is_some(), lane.is_spoiled(), lane.take_sleeper());
        }
        for reply in &batch.collected {
            assert!(reply.bytes.end <= batch.bytes.len());
        }
        let wreck = lane.salvage(&link, &mut batch.bytes);
        out +=
            batch.collected.len() + batch.husks.len() + wreck.running.len() + wreck.unbegun.len() + wreck.husks.len();
        assert_eq!(out, put, "no task is lost, none comes out twice");
        assert_eq!(lane.depth(), 0);
    }
}
