//! System calls that no confined program may make: what would lead around the namespaces and Landlock.
//!
//! - Sockets in the file system belong to no network namespace, and Landlock rules them in the newest kernels only: a
//!   daemon's socket (docker's, say) would be a way out. Sockets to the host of a virtual machine belong to none either.
//!   So there are sockets of the internet and of netlink (which resolvers read addresses from), and no others; pairs of
//!   connected sockets stay, datagram pairs do not, because they can be connected anew.
//! - An `io_uring` opens and connects sockets without any of these calls.
//! - Keyrings belong to no namespace: the keys of whoever started the host are in them.

use super::Confinement;

/// What of a call is looked at: `struct seccomp_data`.
mod offset {
    pub(super) const NUMBER: u32 = 0;
    pub(super) const ARCHITECTURE: u32 = 4;
    /// The lower halves of the first two arguments, which are all that the kernel looks at of an `int`.
    pub(super) const FIRST: u32 = if cfg!(target_endian = "little") { 16 } else { 20 };
    pub(super) const SECOND: u32 = FIRST + 8;
}

/// `AUDIT_ARCH_…` of this machine; none where the filter is not written for it.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else {
    None
};

/// Numbers from here on are those of the x32 ABI, which would be ways around every comparison.
const X32: u32 = 0x4000_0000;

/// Calls that are answered as if the kernel did not have them.
const ABSENT: [libc::c_long; 4] =
    [libc::SYS_io_uring_setup, libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key];

/// Families that sockets may have.
const FAMILIES: [libc::c_int; 3] = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Refuses these calls from now on, for this process and everything it becomes or starts.
///
/// # Errors
/// When the kernel has no such filters, and `accept_missing` does not say that it may lack them.
pub(super) fn install(accept_missing: &[Confinement]) -> Result<(), String> {
    match filter() {
        Err(_) if accept_missing.contains(&Confinement::Seccomp) => Ok(()),
        Err(why) => Err(format!("the kernel does not filter system calls: {why}")),
        Ok(()) => Ok(()),
    }
}

fn filter() -> Result<(), String> {
    let architecture = ARCHITECTURE.ok_or("the filter is not written for this architecture")?;
    let mut program = program(architecture)?;
    let length = u16::try_from(program.len()).map_err(|error| error.to_string())?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // The kernel reads whole words, and refuses what is not nought in the rest of them.
    let (one, none): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: the first call takes numbers only. The second reads the program, which lives until it returns, and its
    // length is the one that is given. Both change nothing but what this process may do.
    let set = unsafe {
        match libc::prctl(libc::PR_SET_NO_NEW_PRIVS, one, none, none, none) {
            0 => libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::c_ulong::from(libc::SECCOMP_MODE_FILTER),
                &raw const program,
            ),
            failed => failed,
        }
    };
    match set {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().to_string()),
    }
}

/// The filter, as the kernel's own small machine reads it.
fn program(architecture: u32) -> Result<Vec<libc::sock_filter>, String> {
    let load = |at: u32| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at);
    let answer = |what: u32| statement(libc::BPF_RET | libc::BPF_K, what);
    // Skips the next instruction unless the value is this one.
    let unless = |value: u32| jump(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, 0, 1);
    let errno = |error: libc::c_int| u32::try_from(error).map(|error| libc::SECCOMP_RET_ERRNO | error);
    let absent = errno(libc::ENOSYS).map_err(|error| error.to_string())?;
    let refused = errno(libc::EACCES).map_err(|error| error.to_string())?;
    let number = |call: libc::c_long| u32::try_from(call).map_err(|error| error.to_string());
    let mut program = vec![
        load(offset::ARCHITECTURE)?,
        jump(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, architecture, 1, 0)?,
        answer(libc::SECCOMP_RET_KILL_PROCESS)?,
        load(offset::NUMBER)?,
        jump(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, X32, 0, 1)?,
        answer(absent)?,
    ];
    for call in ABSENT {
        program.extend([unless(number(call)?)?, answer(absent)?]);
    }
    // A socket: its family. Each comparison that holds leads to the answer that lets it through.
    let mut socket = vec![load(offset::FIRST)?];
    for family in FAMILIES {
        let family = u32::try_from(family).map_err(|error| error.to_string())?;
        socket.extend([unless(family)?, answer(libc::SECCOMP_RET_ALLOW)?]);
    }
    socket.push(answer(refused)?);
    // A pair: its type, without the flags beside it.
    let datagram = u32::try_from(libc::SOCK_DGRAM).map_err(|error| error.to_string())?;
    let pair = vec![
        load(offset::SECOND)?,
        statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0xf)?,
        unless(datagram)?,
        answer(refused)?,
        answer(libc::SECCOMP_RET_ALLOW)?,
    ];
    for (call, rest) in [(libc::SYS_socket, socket), (libc::SYS_socketpair, pair)] {
        let over = u8::try_from(rest.len()).map_err(|error| error.to_string())?;
        program.push(jump(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number(call)?, 0, over)?);
        program.extend(rest);
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW)?);
    Ok(program)
}

fn statement(code: u32, value: u32) -> Result<libc::sock_filter, String> {
    instruction(code, value, 0, 0)
}

fn jump(code: u32, value: u32, holds: u8, fails: u8) -> Result<libc::sock_filter, String> {
    instruction(code, value, holds, fails)
}

fn instruction(code: u32, value: u32, holds: u8, fails: u8) -> Result<libc::sock_filter, String> {
    let code = u16::try_from(code).map_err(|error| error.to_string())?;
    Ok(libc::sock_filter { code, jt: holds, jf: fails, k: value })
}
