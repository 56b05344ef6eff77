package main

import "time"

// load is what the servers had to do: requests in flight, summed up over time, in seconds.
type load struct {
	all  float64 // on all servers
	most float64 // on the one that had most at each time
	time float64 // while there were any
}

// pass notes that the servers had what they have for d.
func (l *load) pass(servers []*server, d time.Duration) {
	var all, most float64
	for _, s := range servers {
		n := float64(s.InFlight())
		s.busy += n * d.Seconds()
		all, most = all+n, max(most, n)
	}
	if all == 0 {
		return
	}
	l.all, l.most, l.time = l.all+all*d.Seconds(), l.most+most*d.Seconds(), l.time+d.Seconds()
}

// inFlight is how many requests there were at a time, in the mean.
func (l *load) inFlight() float64 { return l.all / l.time }

// atOnce is how much more than the mean the busiest server had at each time, in the mean.
func (l *load) atOnce(servers int) float64 {
	return l.most * float64(servers) / l.all
}

// overall is how much more than the mean the busiest server had over all the time.
func (l *load) overall(servers []*server) float64 {
	var most float64
	for _, s := range servers {
		most = max(most, s.busy)
	}
	return most * float64(len(servers)) / l.all
}
