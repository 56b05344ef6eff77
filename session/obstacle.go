package session

import "tether/upstream"

// obstacle is what keeps a request from an upstream. Where several things do, it is the first that was looked at.
type obstacle uint8

const (
	nothing    obstacle = iota
	weightless          // weight 0
	draining            // of a pin: drained hard
	notUp
	suspect
	leaving // of a pin: for certain
	closed  // tried already, or not serving the model
)

// words says what kept a request that tried nobody yet from u, for people. They hold no address.
func (o obstacle) words(u *upstream.Upstream) string {
	switch o {
	case weightless:
		return "weight 0"
	case draining:
		if u.State().DrainingHard() {
			return "draining hard"
		}
		return "draining"
	case notUp:
		return notUpWords(u)
	case suspect:
		return "suspect: requests had trouble connecting"
	case leaving:
		return "leaving: it said that it is shutting down"
	case closed:
		return "does not serve the model"
	}
	return ""
}

func notUpWords(u *upstream.Upstream) string {
	_, reason := u.Since()
	if reason != "" {
		reason = ": " + reason
	}
	switch u.State().Health() {
	case upstream.Unknown:
		return "no verdict of its health yet"
	case upstream.TimedOut:
		return "down by timeouts" + reason
	case upstream.Down:
		return "down" + reason
	}
	return "was down until now"
}
