//! The command line as users see it, word by word: goldens in tests/cmd/ (`TRYCMD=overwrite cargo test --test cli` renews them).

#[test]
fn goldens() {
    trycmd::TestCases::new().case("tests/cmd/*.toml").run();
}
