//! `udpair invite` and `udpair join` on two terminals.

use super::terminal::Terminal;

#[test]
fn two_terminals_chat_line_by_line_and_obey_nothing() {
    let mut one = Terminal::run("invite --interface lo");
    let code = one.said("\n").trim_end().to_owned();
    let mut other = Terminal::run(&format!("join {code} --interface lo"));
    one.said("connected");
    other.said("connected");
    one.type_in("hello\n");
    assert_eq!(other.sees("\n"), "hello\r\n");
    // The terminal of whoever types shows an escape as ^[, and hands it on as it is.
    other.type_in("\x1b[2Jwho is there?\n");
    one.sees("hello\r\n");
    assert_eq!(one.sees("?\r\n"), "\\u{1b}[2Jwho is there?\r\n");

    // Ctrl-D at the beginning of a line.
    one.type_in("\x04");
    other.said("the other side has ended");
    other.type_in("bye\n");
    assert_eq!(one.sees("\n"), "bye\r\n");
    other.type_in("\x04");
    for terminal in [&mut one, &mut other] {
        assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
    }
}
