//! Programs that must not compile, and what the compiler then says: the text is the only help a newcomer gets.
//!
//! The texts are the compiler's own, so a new compiler may word them anew: run with `TRYBUILD=overwrite`, then read the
//! difference.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Runs in a process of its own, because the test harness does not capture the compiler's progress and the report of
/// `trybuild`: they are shown if it fails.
#[test]
fn refused_programs() {
    const CHILD: &str = "CONCURRENT_FUTURES_REFUSED_PROGRAMS";
    if env::var_os(CHILD).is_some() {
        trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
        return;
    }
    let mut command = Command::new(env::current_exe().expect("a test knows its own path"));
    command.args(["--exact", "refused_programs", "--nocapture"]).env(CHILD, "1");
    let output = command.output().expect("the test starts itself");
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success() && out.contains("1 passed"), "{}\n{out}\n{err}", output.status);
}

/// Each mistake a newcomer makes, and the words that say what to write instead.
#[test]
fn refusals_say_what_to_write_instead() {
    let advice = [
        ("submit_argument_without_serde", "derive it: `#[derive(serde::Serialize"),
        ("submit_argument_without_serde", "goes to `ThreadPoolExecutor::spawn` or `scope`"),
        ("submit_result_without_serde", "derive it: `#[derive(serde::Serialize"),
        ("map_argument_without_serde", "own the data: `String`, not `&str`"),
        // The compiler has no place for a word of ours here, so its own have to do.
        ("submit_capturing_closure", "if they do not capture any variables"),
        ("submit_borrowed_argument", "borrowed for `'static`"),
        ("wait_for_an_unknown_condition", "`ReturnWhen` implements"),
        ("result_read_twice", "takes ownership"),
    ];
    for (program, words) in advice {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/compile_fail/{program}.stderr"));
        let text = fs::read_to_string(&file).expect("every program has its text beside it");
        assert!(text.contains(words), "{program} should say {words:?}:\n{text}");
    }
}
