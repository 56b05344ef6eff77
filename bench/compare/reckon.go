package main

import (
	"errors"
	"time"

	"tether/bench/compare/peers"
	"tether/bench/compare/traffic"
)

// reckon turns what was counted into figures. Times are in microseconds. opening is what was counted before the measurement, while the
// connections were opened.
func reckon(r *row, opening, c traffic.Counts, used peers.Usage, took time.Duration) (figures, error) {
	units, times := c.Requests, c.Latencies
	if r.unit == "event" {
		units, times = c.Events, c.Delays
	}
	if units == 0 {
		return nil, errors.New("nothing was answered")
	}
	n := float64(units)
	return figures{
		cpu:      micros(used.CPU) / n,
		switches: float64(used.Switches) / n,
		p50:      micros(traffic.Quantile(times, 0.5)),
		p99:      micros(traffic.Quantile(times, 0.99)),
		first:    micros(traffic.Quantile(opening.FirstBytes, 0.5)),
		rate:     n / took.Seconds(),
	}, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// perUnit divides counts of a row by its units.
func perUnit(f figures, r *row, c traffic.Counts) (figures, error) {
	units := c.Requests
	if r.unit == "event" {
		units = c.Events
	}
	if units == 0 {
		return nil, errors.New("nothing was answered")
	}
	for key := range f {
		f[key] /= float64(units)
	}
	return f, nil
}
