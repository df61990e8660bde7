//! The executable image of this process: how a function or a constant is named to a process that runs the same image.
//!
//! ```text
//!   here                                                  there, loaded at another address
//!   &'static T ─► data_offset ──┐                    ┌──► data_at ─► pointer to the same constant
//!   fn         ─► code_offset ──┴── u64, checked ────┴──► code_at ─► address of the same function
//! ```
//! An offset counts from the image's load address. It names something only where the same image runs, so two processes
//! compare their [`Image::identity`] first. Offsets that arrive are numbers from outside: each is checked against the
//! segments the image was loaded with, data against those nobody writes any more, code against the executable ones.

mod layout;
mod mix;

use crate::system::{ProgramHeader, each_module};
use layout::{Layout, Span, build_id, holds, segment};
use mix::Mix;
use std::fmt;
use std::ops::ControlFlow;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::OnceLock;

/// One address of this crate's own code and data, which shows where this crate was linked to. A static, since only that has a
/// single address: a function or a constant may exist several times.
static ANCHOR: fn() -> Result<Image, ImageError> = Image::find;

/// How much of the code goes into an identity without a build id.
const SAMPLE: usize = 4096;

/// The executable of this process, as the loader has placed it.
#[derive(Debug)]
pub struct Image {
    /// What the loader added to the addresses in the file. Sums with it wrap: it may stand for a negative number.
    base: usize,
    layout: Layout,
    identity: [u8; 32],
}

impl Image {
    /// Returns the image of this process; found once.
    ///
    /// # Errors
    ///
    /// This crate is not part of the executable.
    pub fn of_this_process() -> Result<&'static Self, ImageError> {
        static IMAGE: OnceLock<Result<Image, ImageError>> = OnceLock::new();
        IMAGE.get_or_init(ANCHOR).as_ref().map_err(Clone::clone)
    }

    /// Returns a number that is the same in every process that runs this image, and another (but for a coincidence) for any other
    /// build. It guards against mistakes, not against malice.
    #[must_use]
    pub fn identity(&self) -> [u8; 32] {
        self.identity
    }

    /// Returns a part of the identity that fits into a word.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.identity;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Returns the name of a constant; `None` if it lies in another image, on the heap, or where it can be written to.
    #[must_use]
    pub fn data_offset<T>(&self, reference: &'static T) -> Option<u64> {
        let offset = self.offset(ptr::from_ref(reference).expose_provenance());
        holds(&self.layout.constant, offset, size_of::<T>()).then_some(offset as u64)
    }

    /// Returns the name of a function; `None` if its code lies in another image.
    #[must_use]
    pub fn code_offset(&self, function: *const ()) -> Option<u64> {
        let offset = self.offset(function.expose_provenance());
        holds(&self.layout.code, offset, 1).then_some(offset as u64)
    }

    /// Returns where the constant of that name is: aligned for a `T`, and all of it within memory that can be read as long as the
    /// process lives. Whether it *is* a `T` is for the caller to find out.
    #[must_use]
    pub fn data_at<T>(&self, offset: u64) -> Option<NonNull<T>> {
        let offset = usize::try_from(offset).ok()?;
        if !holds(&self.layout.constant, offset, size_of::<T>()) {
            return None;
        }
        NonNull::new(ptr::with_exposed_provenance_mut::<T>(self.address(offset))).filter(|data| data.is_aligned())
    }

    /// Returns where the code of that name is: somewhere in the image's code. Whether a function begins there, and of which type,
    /// is for the caller to know.
    #[must_use]
    pub fn code_at(&self, offset: u64) -> Option<*const ()> {
        let offset = usize::try_from(offset).ok()?;
        holds(&self.layout.code, offset, 1).then(|| ptr::with_exposed_provenance(self.address(offset)))
    }

    // Never inlined nor doubled, as it marks the place of the sample.
    #[inline(never)]
    fn find() -> Result<Self, ImageError> {
        let (base, headers) = each_module(|module| ControlFlow::Break((module.base(), module.headers().to_vec())))
            .ok_or(ImageError::NoProgramHeaders)?;
        let mut image = Self { base, layout: Layout::of(&headers), identity: [0; 32] };
        let anchor = image.data_offset(&ANCHOR).ok_or_else(ImageError::elsewhere)?;
        let code = image.code_offset(ANCHOR as *const ()).ok_or_else(ImageError::elsewhere)?;
        image.identity = image.identify(&headers, anchor, code);
        Ok(image)
    }

    /// Mixes the build id with what tells apart executables that have none, or always the same one. The code is read only where
    /// there is no build id: a debugger's breakpoints are in the code of one process and not of another.
    fn identify(&self, headers: &[ProgramHeader], anchor: u64, code: u64) -> [u8; 32] {
        let mut mix = Mix::new();
        mix.word(usize::BITS.into());
        mix.bytes(self.build_id().unwrap_or_else(|| self.sample(code as usize)));
        for header in headers {
            mix.word(u64::from(header.p_type) << 32 | u64::from(header.p_flags));
            for place in [header.p_offset, header.p_vaddr, header.p_filesz, header.p_memsz] {
                mix.word(place as usize as u64);
            }
        }
        mix.word(anchor);
        mix.word(code);
        mix.finish()
    }

    fn build_id(&self) -> Option<&[u8]> {
        self.layout.notes.iter().find_map(|&(span, alignment)| build_id(self.bytes(span)?, alignment))
    }

    /// Returns the code around `offset`. It is the same in every process; data holds addresses that are not.
    fn sample(&self, offset: usize) -> &[u8] {
        let wanted = Span { start: offset.saturating_sub(SAMPLE / 2), end: offset.saturating_add(SAMPLE / 2) };
        let sample = self.layout.code.iter().find_map(|code| code.overlap(wanted));
        sample.and_then(|span| self.bytes(span)).unwrap_or_default()
    }

    /// Returns the bytes of a part of the code or the notes, if they can be read.
    fn bytes(&self, span: Span) -> Option<&[u8]> {
        if !holds(&self.layout.constant, span.start, span.length()) {
            return None;
        }
        let start = ptr::with_exposed_provenance::<u8>(self.address(span.start));
        // SAFETY: the span lies within one readable segment of the executable, which stays mapped as long as the process
        // lives; code and notes are not written to, but by the loader before all of the program's code.
        Some(unsafe { slice::from_raw_parts(start, span.length()) })
    }

    fn offset(&self, address: usize) -> usize {
        address.wrapping_sub(self.base)
    }

    fn address(&self, offset: usize) -> usize {
        self.base.wrapping_add(offset)
    }
}

/// Why nothing can be named to another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// The loader tells nothing about the executable.
    NoProgramHeaders,
    /// This crate's code lies in a shared library: a process that is started from the executable would not have it.
    Elsewhere {
        /// The library's path, if the loader knows it.
        library: Option<String>,
    },
}

impl ImageError {
    fn elsewhere() -> Self {
        let anchor = (&raw const ANCHOR).expose_provenance();
        let library = each_module(|module| {
            let offset = anchor.wrapping_sub(module.base());
            if !module.headers().iter().filter_map(segment).any(|span| span.holds(offset, 1)) {
                return ControlFlow::Continue(());
            }
            ControlFlow::Break(module.name().to_string_lossy().into_owned())
        });
        Self::Elsewhere { library: library.filter(|name| !name.is_empty()) }
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProgramHeaders => f.write_str(
                "the dynamic loader does not say where this program's executable lies in memory (`dl_iterate_phdr` has \
                 no entry), so functions cannot be named to worker processes; use a thread pool here",
            ),
            Self::Elsewhere { library } => {
                let library = library.as_deref().unwrap_or("a shared library");
                write!(
                    f,
                    "process-executor is linked into {library}, not into this program's executable, but worker \
                     processes run the executable alone and would not find its functions; link it into the executable \
                     (no `cdylib` or `dylib`, no `-C prefer-dynamic`), or use a thread pool here"
                )
            }
        }
    }
}

impl std::error::Error for ImageError {}

#[cfg(test)]
mod tests {
    use super::{Image, ImageError};
    use crate::system::{ProgramHeader, each_module};
    use std::io::Write;
    use std::ops::ControlFlow;
    use std::process::Command;
    use std::ptr;
    use std::sync::atomic::AtomicU64;

    /// A stand-in for what names a function to another process: a number to know it by, and the function.
    #[repr(C)]
    struct Record {
        magic: u64,
        run: fn(u64) -> u64,
    }

    const MAGIC: u64 = 0x5eed_1e55_c0ff_ee00;
    static RECORD: Record = Record { magic: MAGIC, run: triple };
    static PLAIN: [u64; 4] = [1, 2, 3, MAGIC];
    static WRITABLE: AtomicU64 = AtomicU64::new(7);
    static INITIALLY_ZERO: AtomicU64 = AtomicU64::new(0);

    /// For whether a child process is to answer, and what.
    const QUESTION: &str = "PROCESS_EXECUTOR_IMAGE_TEST";

    fn triple(number: u64) -> u64 {
        number.wrapping_mul(3)
    }

    fn plus<const N: u64>(number: u64) -> u64 {
        number.wrapping_add(N)
    }

    /// A constant made for a type, as for a task's types: promoted, not a named static.
    fn promoted<const N: u64>() -> &'static Record {
        &Record { magic: MAGIC + N, run: plus::<N> }
    }

    fn image() -> &'static Image {
        Image::of_this_process().unwrap()
    }

    fn call(code: *const (), argument: u64) -> u64 {
        // SAFETY: the tests give only the addresses of functions of this type.
        let function = unsafe { std::mem::transmute::<*const (), fn(u64) -> u64>(code) };
        function(argument)
    }

    #[test]
    fn there_is_one_image() {
        assert!(ptr::eq(image(), image()));
        assert_ne!(image().identity(), [0; 32]);
        assert_eq!(image().identity(), image().identity());
    }

    #[test]
    fn constants_go_there_and_back() {
        for record in [&RECORD, promoted::<1>(), promoted::<2>()] {
            let offset = image().data_offset(record).unwrap();
            assert!(ptr::eq(image().data_at::<Record>(offset).unwrap().as_ptr(), record));
        }
        let offset = image().data_offset(&PLAIN).unwrap();
        assert!(ptr::eq(image().data_at(offset).unwrap().as_ptr(), &raw const PLAIN));
        assert_ne!(image().data_offset(promoted::<1>()), image().data_offset(promoted::<2>()));
    }

    #[test]
    fn functions_go_there_and_back() {
        for (function, expected) in [(triple as fn(u64) -> u64, 30), (plus::<1>, 11), (|number| number / 2, 5)] {
            let offset = image().code_offset(function as *const ()).unwrap();
            let code = image().code_at(offset).unwrap();
            assert!(ptr::eq(code, function as *const ()));
            assert_eq!(call(code, 10), expected);
        }
    }

    #[test]
    fn what_can_be_written_to_has_no_name() {
        if !is_protected() {
            return;
        }
        assert_eq!(image().data_offset(&WRITABLE), None);
        assert_eq!(image().data_offset(&INITIALLY_ZERO), None);
        let offset = image().offset((&raw const WRITABLE).addr()) as u64;
        assert!(image().data_at::<AtomicU64>(offset).is_none());
    }

    #[test]
    fn what_has_a_name_is_protected_by_the_kernel() {
        if !is_protected() {
            return;
        }
        for address in [(&raw const RECORD).addr(), ptr::from_ref(promoted::<1>()).addr(), (&raw const PLAIN).addr()] {
            let permissions = permissions(address);
            assert!(permissions.starts_with("r-"), "{permissions}");
        }
        assert_eq!(permissions((&raw const WRITABLE).addr()), "rw-p");
    }

    #[test]
    fn what_is_not_in_the_image_has_no_name() {
        let on_heap: &'static u64 = Box::leak(Box::new(1));
        let on_stack = 1_u64;
        assert_eq!(image().data_offset(on_heap), None);
        assert_eq!(image().code_offset(ptr::from_ref(on_heap).cast()), None);
        assert_eq!(image().code_offset((&raw const on_stack).cast()), None);
        assert_eq!(image().code_offset(ptr::null()), None);
        assert_eq!(image().code_offset(ptr::without_provenance(usize::MAX)), None);
        // A value without size lies nowhere; the address that stands for it is out of every image.
        assert_eq!(image().data_offset(&*Box::leak(Box::new(()))), None);
    }

    #[test]
    fn code_is_not_named_as_data_nor_data_as_code() {
        let constant = image().data_offset(&RECORD).unwrap();
        assert!(image().code_at(constant).is_none());
        assert_eq!(image().code_offset((&raw const RECORD).cast()), None);
        assert_eq!(image().code_offset((&raw const WRITABLE).cast()), None);
    }

    #[test]
    fn offsets_out_of_range_are_refused() {
        let image = image();
        let ends = image.layout.constant.iter().chain(&image.layout.code).map(|span| span.end as u64);
        let last = ends.max().unwrap().next_multiple_of(1 << 16);
        let middle = 1 << (usize::BITS - 1);
        for offset in [0, last, middle, middle - 1, usize::MAX as u64, usize::MAX as u64 - 7, u64::MAX, u64::MAX - 7] {
            assert!(image.data_at::<u8>(offset).is_none(), "{offset:#x}");
            assert!(image.data_at::<Record>(offset).is_none(), "{offset:#x}");
            assert!(image.data_at::<()>(offset).is_none(), "{offset:#x}");
            assert!(image.code_at(offset).is_none(), "{offset:#x}");
        }
    }

    #[test]
    fn what_straddles_an_end_is_refused() {
        let image = image();
        let spans = &image.layout.constant;
        // Two parts may touch; those that stand alone have a true end.
        for span in spans.iter().filter(|span| spans.iter().all(|other| other == *span || span.end != other.start)) {
            let end = span.end as u64;
            assert!(image.data_at::<u8>(end - 1).is_some());
            assert!(image.data_at::<[u8; 16]>(end - 16).is_some());
            assert!(image.data_at::<[u8; 16]>(end - 15).is_none());
            assert!(image.data_at::<[u8; 16]>(end - 1).is_none());
        }
        for span in &image.layout.code {
            assert!(image.code_at(span.start.max(1) as u64).is_some());
            assert!(image.code_at(span.end as u64 - 1).is_some());
        }
        // Larger than any part of the image.
        let offset = image.data_offset(&RECORD).unwrap();
        assert!(image.data_at::<[u8; 1 << 30]>(offset).is_none());
    }

    #[test]
    fn what_is_not_aligned_is_refused() {
        let offset = image().data_offset(&PLAIN).unwrap();
        for shift in 1..8 {
            assert!(image().data_at::<Record>(offset + shift).is_none());
            assert!(image().data_at::<[u8; 4]>(offset + shift).is_some());
        }
    }

    #[test]
    fn another_process_of_the_image_knows_the_names() {
        const ARGUMENT: u64 = 14;
        if let Ok(question) = std::env::var(QUESTION) {
            let answer = answer(&question, ARGUMENT);
            return std::io::stdout().write_all(answer.as_bytes()).unwrap();
        }
        let offsets =
            (image().data_offset(promoted::<3>()).unwrap(), image().code_offset(triple as *const ()).unwrap());
        let expected = format!("<{:?} {} {}>", image().identity(), ARGUMENT + 3, ARGUMENT * 3);
        let (_, module) = module_path!().split_once("::").unwrap();
        for _ in 0..3 {
            let output = Command::new("/proc/self/exe")
                .args(["--exact", "--nocapture", &format!("{module}::another_process_of_the_image_knows_the_names")])
                .env(QUESTION, format!("{} {}", offsets.0, offsets.1))
                .output()
                .unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success() && said.contains(&expected), "{said} instead of {expected}");
        }
    }

    /// Calls the function of the trampoline named, and the function named.
    fn answer(question: &str, argument: u64) -> String {
        let (data, code) = question.split_once(' ').unwrap();
        let record = image().data_at::<Record>(data.parse().unwrap()).unwrap();
        // SAFETY: the parent, of the same image, has named a record.
        let record = unsafe { record.as_ref() };
        assert_eq!(record.magic, MAGIC + 3);
        let direct = call(image().code_at(code.parse().unwrap()).unwrap(), argument);
        format!("<{:?} {} {direct}>", image().identity(), (record.run)(argument))
    }

    /// Returns whether constants can be told from variables here, which depends on how this test was linked.
    fn is_protected() -> bool {
        let protects = |header: &ProgramHeader| header.p_type == libc::PT_GNU_RELRO;
        each_module(|module| ControlFlow::Break(module.headers().iter().any(protects))).unwrap()
    }

    /// How the kernel has that address mapped.
    fn permissions(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| {
            let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            let [start, end] = [start, end].map(|bound| usize::from_str_radix(bound, 16).unwrap());
            (start..end).contains(&address)
        });
        line.unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    #[test]
    fn errors_say_what_to_do() {
        let library = Some("/lib/libextension.so".to_owned());
        let text = ImageError::Elsewhere { library }.to_string();
        assert!(text.contains("/lib/libextension.so") && text.contains("thread pool"), "{text}");
        assert!(ImageError::NoProgramHeaders.to_string().contains("thread pool"));
    }
}
