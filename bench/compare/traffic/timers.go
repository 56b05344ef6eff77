package traffic

// timed is something that a loop does at a time.
type timed interface {
	// tick is called at or after the time due.
	tick(due, now int64)
}

// timer is an entry of timers.
type timer struct {
	due int64
	timed
}

// timers is a binary heap, the earliest first. container/heap would allocate for each entry.
type timers []timer

func (t *timers) push(n timer) {
	h := append(*t, n)
	*t = h
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent].due <= h[i].due {
			return
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
}

// pop removes and returns the earliest entry.
func (t *timers) pop() timer {
	h := *t
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], timer{}
	h = h[:last]
	*t = h
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h[child].due < h[least].due {
				least = child
			}
		}
		if least == i {
			return first
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
