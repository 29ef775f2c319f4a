//! The command line of castoff. It sees only the library's public interface.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
