//! The program: command line in, exit status out. Everything else is the library's.

fn main() -> std::process::ExitCode {
    hairline::cli::main()
}
