//! Subnormal numbers are treated as zero while kernels run: they cost 50 to 100 times a normal operation, and a float32
//! network has no use for magnitudes below 1e-38.

use std::marker::PhantomData;

/// Sets flush-to-zero (and denormals-are-zero on x86) on this thread until dropped, then restores what was before.
/// Does nothing on processors other than x86-64 and arm64.
#[derive(Debug)]
pub struct FlushSubnormals {
    saved: u64,
    /// The mode belongs to one thread, so the guard must not leave it.
    _thread: PhantomData<*const ()>,
}

impl FlushSubnormals {
    /// Switches the mode on.
    #[allow(clippy::new_without_default, reason = "creating the guard is an effect, not a default value")]
    pub fn new() -> Self {
        let saved = control::get();
        if saved | control::FLUSH != saved {
            control::set(saved | control::FLUSH);
        }
        Self { saved, _thread: PhantomData }
    }
}

impl Drop for FlushSubnormals {
    fn drop(&mut self) {
        if self.saved | control::FLUSH != self.saved {
            control::set(self.saved);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    /// MXCSR: FTZ is bit 15, DAZ bit 6 (Intel SDM vol. 1, 10.2.3).
    pub(super) const FLUSH: u64 = 1 << 15 | 1 << 6;

    pub(super) fn get() -> u64 {
        let mut value = 0u32;
        // SAFETY: STMXCSR writes 4 bytes to the address given, which is that of a live u32.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack, preserves_flags)) };
        u64::from(value)
    }

    pub(super) fn set(value: u64) {
        let value = value as u32;
        // SAFETY: LDMXCSR reads 4 bytes of a live u32; only FTZ and DAZ differ from what the register held, so no
        // reserved bit is set and no exception is unmasked. Code outside the kernels sees the former value again.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, preserves_flags)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod control {
    use std::arch::asm;

    /// FPCR: FZ is bit 24 (Arm ARM, C5.2.8).
    pub(super) const FLUSH: u64 = 1 << 24;

    pub(super) fn get() -> u64 {
        let value: u64;
        // SAFETY: reads a register that user code may read.
        unsafe { asm!("mrs {}, fpcr", out(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    }

    pub(super) fn set(value: u64) {
        // SAFETY: only FZ differs from what the register held.
        unsafe { asm!("msr fpcr, {}", in(reg) value, options(nostack, preserves_flags)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    pub(super) const FLUSH: u64 = 0;

    pub(super) fn get() -> u64 {
        0
    }

    pub(super) fn set(_: u64) {}
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::FlushSubnormals;
    use std::hint::black_box;

    fn half_of_smallest_normal() -> f32 {
        black_box(f32::MIN_POSITIVE) * black_box(0.5)
    }

    #[test]
    fn flushes_within_and_restores_after() {
        assert!(half_of_smallest_normal() > 0.0);
        {
            let _outer = FlushSubnormals::new();
            assert_eq!(half_of_smallest_normal(), 0.0);
            drop(FlushSubnormals::new());
            assert_eq!(half_of_smallest_normal(), 0.0, "an inner guard must not switch the outer one off");
        }
        assert!(half_of_smallest_normal() > 0.0);
    }
}
