package peers

import "time"

// Usage is what a peer has used, its children included.
type Usage struct {
	// CPU is user and system time, User the first of them.
	CPU, User time.Duration
	// Switches are voluntary context switches of the threads that exist, Preempted the involuntary ones.
	Switches, Preempted int
}

// Sub returns what was used since an earlier reading.
func (u Usage) Sub(before Usage) Usage {
	return Usage{u.CPU - before.CPU, u.User - before.User, u.Switches - before.Switches, u.Preempted - before.Preempted}
}
