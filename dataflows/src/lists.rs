//! Lists that take little more than what is in them.

/// What an allocator counts in.
const WORD: usize = size_of::<u64>();

/// Room for one more in a list, and as much as comes with it: a city has millions of short ones, and what an
/// allocator hands out is a word, or a fifth to a quarter, more than the size before it in any case.
pub(crate) fn make_room<T>(list: &mut Vec<T>) {
    let (len, size) = (list.len(), size_of::<T>().max(1));
    if len == list.capacity() {
        let words = ((len + 1) * size).div_ceil(WORD);
        list.reserve_exact(handed_out(words) * WORD / size - len);
    }
}

/// The least size that is handed out of those that hold so many words, at least one: all up to eight, and
/// four between a power of two and the next.
fn handed_out(words: usize) -> usize {
    let step = 1 << (words - 1).max(1).ilog2().saturating_sub(2);
    words.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_allocator() {
        let sizes = (1..=34).map(handed_out).collect::<std::collections::BTreeSet<_>>();
        let expected = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40];
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn there_is_room_for_one_more() {
        fn grow<T: Default>(most: usize) {
            let mut list: Vec<T> = Vec::new();
            for _ in 0..most {
                make_room(&mut list);
                assert!(list.capacity() > list.len());
                assert!(list.capacity() <= list.len() + 1 + (list.len() / 4).max(WORD));
                list.push(T::default());
            }
        }
        grow::<u32>(1_000);
        grow::<[u64; 3]>(1_000);
        grow::<[u64; 13]>(100);
        grow::<u8>(1_000);
    }
}
