//! A short run of `cargo xtask crash`: twenty meetings at once in a runtime that is killed fifteen times.

use std::process::Command;

#[test]
fn however_often_the_runtime_is_killed_every_meeting_keeps_its_promises() {
    let run = Command::new(env!("CARGO_BIN_EXE_crash"))
        .args(["--meetings", "20", "--kills", "15", "--lines", "5"])
        .arg("--untimed")
        .output()
        .expect("the run starts");
    let told = String::from_utf8_lossy(&run.stdout);
    let complaints = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{told}\n{complaints}");
    assert!(told.contains("15 kills in"), "{told}");
    println!("{told}");
}
