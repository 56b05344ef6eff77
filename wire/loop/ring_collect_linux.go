package loop

import "tether/wire/uring"

// collect takes more completions if the last call brought many: from Linux 6.13 on, the kernel ends at most 20 operations in a call. While a larger
// batch is sent, fewer peers fall asleep and must be woken. The numbers cost the least of those that were tried for 32 clients. After an operation
// that has several results, collect makes no further call. This bounds the parts of one connection in a batch.
func collect(r *uring.Ring) error {
	const many, enough = 12, 40
	for n, before := r.Arrived(), 0; n-before >= many && n < enough && !repeats(r, before, n); before, n = n, r.Arrived() {
		if err := r.Enter(uring.Wait{}); err != nil {
			return err
		}
	}
	return nil
}

// repeats reports whether an operation has two results in a row among the completions from one to another.
func repeats(r *uring.Ring, from, to int) bool {
	for i := from + 1; i < to; i++ {
		if r.At(i).User == r.At(i-1).User {
			return true
		}
	}
	return false
}
