package main

import "time"

// load is the load of the servers: requests in flight, integrated over time, in request-seconds.
type load struct {
	all  float64 // on all servers
	most float64 // on the server that was busiest at each time
	time float64 // with any request in flight, in seconds
}

// pass adds the present load of the servers for the time d.
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

// inFlight returns the mean number of requests in flight.
func (l *load) inFlight() float64 { return l.all / l.time }

// atOnce returns the load of the server that was busiest at each time, relative to the mean load.
func (l *load) atOnce(servers int) float64 {
	return l.most * float64(servers) / l.all
}

// overall returns the load of the server that was busiest over the whole time, relative to the mean load.
func (l *load) overall(servers []*server) float64 {
	var most float64
	for _, s := range servers {
		most = max(most, s.busy)
	}
	return most * float64(len(servers)) / l.all
}
