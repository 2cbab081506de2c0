//! Tensors over the memory of NumPy arrays.

use crate::Tensor;
use numpy::{Element, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use oxiconv_ir::{DType, Type};
use pyo3::Bound;

/// A tensor over the memory of an array, which it keeps alive; none if the array is not C-contiguous and aligned, or if
/// its elements have another size. As with every view in Python, whoever writes to the array changes the tensor: the
/// caller promises that nobody does.
pub fn share<T: Element + 'static>(array: &Bound<'_, PyArrayDyn<T>>, dtype: DType) -> Option<Tensor> {
    let ptr: *const u8 = array.data().cast_const().cast();
    if !array.is_c_contiguous() || !ptr.addr().is_multiple_of(dtype.size()) || size_of::<T>() != dtype.size() {
        return None;
    }
    let (ty, owner) = (Type::new(dtype, array.shape()), array.clone().unbind());
    // SAFETY: a C-contiguous array of these sizes has `ty.bytes()` bytes at its data pointer, aligned as checked; it is
    // kept alive by `owner`, and NumPy does not move the memory of an array that others refer to. That nothing writes
    // there is the caller's promise.
    Some(unsafe { Tensor::from_foreign(ty, ptr, Box::new(owner)) })
}
