package models

import (
	"encoding/json"
	"sync/atomic"
)

// IDs are the ids of the models of a list, nil if the list is unknown. They never change. Lists of the same models share them: most fleets
// serve the same models everywhere, and requests to hundreds of servers then ask one set, which the caches of the processor hold. A list
// shares with the list that was made just before it alone.
type IDs map[string]struct{}

// Has reports whether the model is among them. Of an unknown list none is.
func (s *IDs) Has(model []byte) bool {
	if s == nil {
		return false
	}
	_, has := (*s)[string(model)]
	return has
}

// lastIDs is the set that was made last.
var lastIDs atomic.Pointer[IDs]

// sharedIDs returns the keys of list.
func sharedIDs(list map[string]json.RawMessage) *IDs {
	if last := lastIDs.Load(); last != nil && last.equals(list) {
		return last
	}
	set := make(IDs, len(list))
	for id := range list {
		set[id] = struct{}{}
	}
	lastIDs.Store(&set)
	return &set
}

func (s *IDs) equals(list map[string]json.RawMessage) bool {
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
