//! Lists that take little more than what is in them.

/// Room for one more in a list, and little beyond: a city has millions of short ones.
pub(crate) fn make_room<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 16).max(2));
    }
}
