package models

import (
	"encoding/json"
	"sync/atomic"
)

// ids are the models of a list. Lists of the same models share them: most fleets serve the same models everywhere, and requests to
// hundreds of servers then ask one set, which the caches of the processor hold.
type ids map[string]struct{}

// lastIDs is the set that was made last. Nothing changes a set.
var lastIDs atomic.Pointer[ids]

// sharedIDs returns the keys of list.
func sharedIDs(list map[string]json.RawMessage) *ids {
	if last := lastIDs.Load(); last != nil && last.equals(list) {
		return last
	}
	set := make(ids, len(list))
	for id := range list {
		set[id] = struct{}{}
	}
	lastIDs.Store(&set)
	return &set
}

func (s *ids) equals(list map[string]json.RawMessage) bool {
	if len(*s) != len(list) {
		return false
	}
	for id := range list {
		if _, has := (*s)[id]; !has {
			return false
		}
	}
	return true
}
