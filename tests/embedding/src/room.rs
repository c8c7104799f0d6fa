//! Room in a page's memory, where it writes its texts and its audio: C has its own.

/// So many bytes of zeros.
#[unsafe(no_mangle)]
pub extern "C" fn room_new(bytes: usize) -> *mut u8 {
    Box::into_raw(vec![0_u8; bytes].into_boxed_slice()).cast()
}

/// Gives the room back.
///
/// # Safety
/// It came from `room_new` with so many bytes, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn room_free(room: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(room, bytes)) });
}
