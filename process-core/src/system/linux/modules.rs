//! What the dynamic loader has loaded: the executable and its libraries.

use std::ffi::{CStr, c_int, c_void};
use std::ops::{ControlFlow, Range};
use std::{ptr, slice};

/// What a program header of a loaded file looks like.
#[cfg(target_pointer_width = "32")]
pub type ProgramHeader = libc::Elf32_Phdr;
/// What a program header of a loaded file looks like.
#[cfg(target_pointer_width = "64")]
pub type ProgramHeader = libc::Elf64_Phdr;

/// Returns whether the kernel has put a loader beside the program; not if it was told to start the loader, or a program without one.
#[must_use]
pub fn has_loader() -> bool {
    // SAFETY: reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_BASE) != 0 }
}

/// Tags of the dynamic section: its end, and where the constructors lie.
const DT_NULL: usize = 0;
const DT_INIT_ARRAY: usize = 25;
const DT_INIT_ARRAYSZ: usize = 27;

/// What the loader tells of one loaded file: the executable, or a library.
#[derive(Debug)]
pub struct Module<'a> {
    base: usize,
    name: &'a CStr,
    headers: &'a [ProgramHeader],
}

/// Shows the loaded files to `visit`, the executable first, until it has an answer.
pub fn each_module<B, F: FnMut(Module<'_>) -> ControlFlow<B>>(visit: F) -> Option<B> {
    struct Search<B, F> {
        visit: F,
        answer: Option<B>,
    }

    unsafe extern "C" fn show<B, F: FnMut(Module<'_>) -> ControlFlow<B>>(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: `search` is what `dl_iterate_phdr` was given below, where nothing else uses it in the meantime.
        let search = unsafe { &mut *search.cast::<Search<B, F>>() };
        // SAFETY: the loader shows entries that are valid as long as this call lasts.
        let module = unsafe { Module::of(&*info) };
        match (search.visit)(module) {
            ControlFlow::Continue(()) => 0,
            ControlFlow::Break(answer) => {
                search.answer = Some(answer);
                1
            }
        }
    }

    let mut search = Search { visit, answer: None };
    // SAFETY: `show` has the signature asked for, keeps none of its arguments, and gets its own kind of search.
    unsafe { libc::dl_iterate_phdr(Some(show::<B, F>), (&raw mut search).cast()) };
    search.answer
}

impl<'a> Module<'a> {
    /// Returns what the loader added to the addresses in the file.
    #[must_use]
    pub fn base(&self) -> usize {
        self.base
    }

    /// Returns the path of the file, as the loader knows it.
    #[must_use]
    pub fn name(&self) -> &CStr {
        self.name
    }

    /// Returns the program headers.
    #[must_use]
    pub fn headers(&self) -> &[ProgramHeader] {
        self.headers
    }

    /// # Safety
    ///
    /// The pointers in `info` must be null or good for `'a`.
    unsafe fn of(info: &'a libc::dl_phdr_info) -> Self {
        let name = match info.dlpi_name {
            name if name.is_null() => c"",
            // SAFETY: a string of the loader, by the caller's word.
            name => unsafe { CStr::from_ptr(name) },
        };
        let headers = match info.dlpi_phdr {
            headers if headers.is_null() => &[],
            // SAFETY: the loader's table and its length, by the caller's word.
            headers => unsafe { slice::from_raw_parts(headers, info.dlpi_phnum.into()) },
        };
        Self { base: info.dlpi_addr as usize, name, headers }
    }

    /// Returns where its table of constructors lies, if it has one and says so.
    #[must_use]
    pub fn constructors(&self) -> Option<Range<usize>> {
        let dynamic = self.headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC)?;
        let table = ptr::with_exposed_provenance::<[usize; 2]>(self.base + dynamic.p_vaddr as usize);
        let (mut start, mut length) = (None, None);
        for index in 0..dynamic.p_memsz as usize / size_of::<[usize; 2]>() {
            // SAFETY: an entry of the loaded file's dynamic section: two words, a tag and a value.
            match unsafe { table.add(index).read() } {
                [DT_NULL, _] => break,
                [DT_INIT_ARRAY, address] => start = Some(self.base + address),
                [DT_INIT_ARRAYSZ, bytes] => length = Some(bytes),
                _ => {}
            }
        }
        Some(start?..start? + length?)
    }
}
