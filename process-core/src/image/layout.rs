//! What the program headers of an image tell: which parts of it are code, constants and the linker's notes.

use crate::system::ProgramHeader;

/// Offsets from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn length(self) -> usize {
        self.end - self.start
    }

    pub(crate) fn overlap(self, other: Self) -> Option<Self> {
        let (start, end) = (self.start.max(other.start), self.end.min(other.end));
        (start < end).then_some(Self { start, end })
    }

    /// Returns whether `size` bytes from `offset` on lie within. Also what has no size must have a place.
    pub(crate) fn holds(self, offset: usize, size: usize) -> bool {
        let end = offset.checked_add(size.max(1));
        offset >= self.start && end.is_some_and(|end| end <= self.end)
    }
}

/// Returns whether one of `spans` holds that. Zero names nothing: an image begins with its file header, and a message that was never
/// written is zeros.
pub(crate) fn holds(spans: &[Span], offset: usize, size: usize) -> bool {
    offset != 0 && spans.iter().any(|span| span.holds(offset, size))
}

/// The parts of an image that things are named in, as its program headers tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Readable, and not written to once the loader has put in the addresses.
    pub(crate) constant: Vec<Span>,
    /// Executable.
    pub(crate) code: Vec<Span>,
    /// The notes of the linker, each part with its alignment.
    pub(crate) notes: Vec<(Span, usize)>,
}

impl Layout {
    pub(crate) fn of(headers: &[ProgramHeader]) -> Self {
        let of_type = |wanted| headers.iter().filter(move |header| header.p_type == wanted);
        let loaded = |wanted, unwanted| {
            let fits = move |header: &&ProgramHeader| header.p_flags & (wanted | unwanted) == wanted;
            of_type(libc::PT_LOAD).filter(fits).filter_map(segment)
        };
        let mut constant: Vec<Span> = loaded(libc::PF_R, libc::PF_W).collect();
        if of_type(libc::PT_GNU_RELRO).next().is_none() {
            // Linked without: constants that hold addresses lie among what can be written to.
            constant.extend(loaded(libc::PF_R | libc::PF_W, libc::PF_X));
        }
        for relocated in of_type(libc::PT_GNU_RELRO).filter_map(segment) {
            // Only what is loaded: some linkers round the size up to a page.
            constant.extend(loaded(libc::PF_R | libc::PF_W, 0).filter_map(|span| span.overlap(relocated)));
        }
        let notes = of_type(libc::PT_NOTE).filter_map(|note| Some((segment(note)?, note.p_align as usize)));
        Self { constant, code: loaded(libc::PF_X, 0).collect(), notes: notes.collect() }
    }
}

/// Returns where a segment is in memory; `None` if it is empty or does not fit there.
pub(crate) fn segment(header: &ProgramHeader) -> Option<Span> {
    let (start, size) = (header.p_vaddr as usize, header.p_memsz as usize);
    let end = start.checked_add(size)?;
    (size > 0).then_some(Span { start, end })
}

/// Returns the GNU build id among the linker's notes.
pub(crate) fn build_id(mut notes: &[u8], alignment: usize) -> Option<&[u8]> {
    const HEADER: usize = 12;
    const BUILD_ID: usize = 3;
    let alignment = alignment.max(4);
    loop {
        let (name_size, size, kind) = (word(notes, 0)?, word(notes, 1)?, word(notes, 2)?);
        let name_end = HEADER.checked_add(name_size)?;
        let start = name_end.checked_next_multiple_of(alignment)?;
        let end = start.checked_add(size)?;
        if kind == BUILD_ID && notes.get(HEADER..name_end)? == b"GNU\0" {
            return notes.get(start..end);
        }
        notes = notes.get(end.checked_next_multiple_of(alignment)?..)?;
    }
}

fn word(notes: &[u8], index: usize) -> Option<usize> {
    let bytes = notes.get(index * 4..)?.first_chunk()?;
    usize::try_from(u32::from_ne_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::{Layout, ProgramHeader, Span, build_id, holds};

    fn header(kind: u32, flags: u32, start: usize, size: usize) -> ProgramHeader {
        ProgramHeader {
            p_type: kind,
            p_flags: flags,
            p_offset: 0,
            p_vaddr: start as _,
            p_paddr: 0,
            p_filesz: 0,
            p_memsz: size as _,
            p_align: 4,
        }
    }

    fn span(start: usize, end: usize) -> Span {
        Span { start, end }
    }

    const READ: u32 = libc::PF_R;
    const WRITE: u32 = libc::PF_R | libc::PF_W;
    const EXECUTE: u32 = libc::PF_R | libc::PF_X;

    #[test]
    fn layout_takes_what_is_read_only_after_relocation() {
        let headers = [
            header(libc::PT_LOAD, READ, 0, 0x100),
            header(libc::PT_LOAD, EXECUTE, 0x1000, 0x800),
            header(libc::PT_LOAD, WRITE, 0x2000, 0x300),
            header(libc::PT_LOAD, WRITE, 0x4000, 0x500),
            // Rounded up beyond the segment it protects.
            header(libc::PT_GNU_RELRO, READ, 0x2000, 0x1000),
            header(libc::PT_NOTE, READ, 0x40, 0x20),
            header(libc::PT_LOAD, libc::PF_X, 0x6000, 0x10),
            header(libc::PT_LOAD, READ, 0x7000, 0),
            header(libc::PT_LOAD, READ, usize::MAX - 4, 0x10),
        ];
        let expected = Layout {
            constant: vec![span(0, 0x100), span(0x1000, 0x1800), span(0x2000, 0x2300)],
            code: vec![span(0x1000, 0x1800), span(0x6000, 0x6010)],
            notes: vec![(span(0x40, 0x60), 4)],
        };
        assert_eq!(Layout::of(&headers), expected);
    }

    #[test]
    fn layout_without_a_protected_part_takes_all_data() {
        let all = WRITE | libc::PF_X;
        let headers = [header(libc::PT_LOAD, WRITE, 0x2000, 0x300), header(libc::PT_LOAD, all, 0x4000, 0x500)];
        assert_eq!(Layout::of(&headers).constant, [span(0x2000, 0x2300)]);
        assert_eq!(Layout::of(&[]).constant, []);
    }

    #[test]
    fn spans_hold_whole_values() {
        let spans = [span(0, 16), span(16, 32), span(usize::MAX - 16, usize::MAX)];
        assert!(holds(&spans, 1, 15) && holds(&spans, 16, 16) && holds(&spans, usize::MAX - 16, 16));
        assert!(!holds(&spans, 0, 1) && !holds(&spans, 1, 16) && !holds(&spans, 32, 0));
        assert!(!holds(&spans, usize::MAX, 1) && !holds(&spans, usize::MAX - 1, usize::MAX));
    }

    fn note(name: &[u8], kind: u32, description: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        for word in [name.len() as u32, description.len() as u32, kind] {
            note.extend(word.to_ne_bytes());
        }
        for part in [name, description] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[test]
    fn build_id_is_found_among_notes() {
        let wanted = note(b"GNU\0", 3, b"identity");
        let others = [note(b"GNU\0", 1, b"version!"), note(b"Go\0", 3, b"other"), note(b"", 3, b"")];
        assert_eq!(build_id(&wanted, 0), Some(&b"identity"[..]));
        assert_eq!(build_id(&[&others.concat(), &wanted[..]].concat(), 4), Some(&b"identity"[..]));
        assert_eq!(build_id(&others.concat(), 4), None);
        // With this alignment the name's end is one already.
        assert_eq!(build_id(&[note(b"GNU\0", 5, b"property"), wanted.clone()].concat(), 8), Some(&b"identity"[..]));
    }

    #[test]
    fn malformed_notes_have_no_build_id() {
        let whole = note(b"GNU\0", 3, b"identity");
        for length in 0..whole.len() {
            assert_eq!(build_id(&whole[..length], 4), None);
        }
        assert_eq!(build_id(&[0xff; 64], 4), None);
        assert_eq!(build_id(&[0; 64], 8), None);
    }
}
