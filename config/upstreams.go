package config

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"tether/ring"
	"tether/upstream"
)

// name is the upstream's name: the given one, or what its URL points to.
func (u *Upstream) name() string {
	if u.Name != "" {
		return u.Name
	}
	a, err := upstream.ParseURL(u.URL)
	if err != nil {
		return ""
	}
	return a.Dial
}

// problemOfURL is what is wrong with the URL of an upstream, "" for nothing. It never tells the user and password that
// somebody may have put there; an error of parsing might, for it quotes pieces.
func problemOfURL(raw string) string {
	_, err := upstream.ParseURL(raw)
	parsed, bad := url.Parse(raw)
	at := strings.LastIndexByte(raw, '@')
	switch {
	case err == nil && bad == nil && parsed.User == nil:
		return ""
	case at < 0:
		return fmt.Sprintf("%q: %v", raw, err)
	}
	scheme := ""
	for _, known := range []string{"http://", "https://", "http+unix://"} {
		if strings.HasPrefix(raw, known) {
			scheme = known
		}
	}
	return fmt.Sprintf("%q: want http://HOST:PORT or https://HOST:PORT without a user and password", scheme+"***"+raw[at:])
}

// Specs are the upstreams of a valid configuration.
func (c *Config) Specs() []upstream.Spec {
	specs := make([]upstream.Spec, len(c.Upstreams))
	numbers := c.slots()
	for i := range c.Upstreams {
		u := &c.Upstreams[i]
		address, err := upstream.ParseURL(u.URL)
		if err != nil {
			panic("BUG: specs of an invalid configuration: " + err.Error())
		}
		weight := ring.FullWeight
		if u.Weight != nil {
			weight = *u.Weight
		}
		specs[i] = upstream.Spec{
			Name: u.name(), Address: address, Ranks: u.DataParallelRanks, Slot: numbers[i], Weight: weight, Drain: u.Drain, Models: u.Models,
			Manners: upstream.Manners{KeepHost: u.HostHeader == hostOfClient, Key: u.APIKey, OverrideKey: u.APIKeyOverride},
		}
	}
	return specs
}

// slots gives each upstream its number in the ring: the configured one; or the N of PREFIX-N, where all names or
// hosts are of that form; or else the position in the list.
func (c *Config) slots() []int {
	numbers := make([]int, len(c.Upstreams))
	if len(c.Upstreams) > 0 && c.Upstreams[0].Slot != nil {
		for i, u := range c.Upstreams {
			if u.Slot != nil { // else it has a problem
				numbers[i] = *u.Slot
			}
		}
		return numbers
	}
	if c.ordinals(numbers) {
		return numbers
	}
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}

// ordinals reads the numbers of StatefulSet pods, vllm-0 and so on, and reports whether all have one.
func (c *Config) ordinals(numbers []int) bool {
	prefix := ""
	seen := map[int]bool{}
	for i := range c.Upstreams {
		label := c.Upstreams[i].label()
		dash := strings.LastIndexByte(label, '-')
		if dash < 1 || i > 0 && label[:dash] != prefix {
			return false
		}
		n, err := strconv.Atoi(label[dash+1:])
		if err != nil || strconv.Itoa(n) != label[dash+1:] || n < 0 || n >= ring.MaxSlots || seen[n] {
			return false
		}
		prefix, numbers[i] = label[:dash], n
		seen[n] = true
	}
	return true
}

// label is the given name, or the first label of the URL's host.
func (u *Upstream) label() string {
	if u.Name != "" {
		return u.Name
	}
	parsed, err := url.Parse(u.URL)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(parsed.Hostname(), ".")
	return first
}
