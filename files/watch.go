package files

import "maps"

// Watch notices when files change, whatever they hold. Like a Follower, it compares contents, and new contents count once two looks
// in a row found them. A file that is not there, or cannot be read, counts as a content too. Its methods are for one goroutine at a
// time. The zero value has accepted nothing.
type Watch struct {
	accepted, last Snapshot
}

// Snapshot is what the files of a list hold at one moment, by path.
type Snapshot map[string]digest

// maxWatched limits what is read of a watched file, in bytes.
const maxWatched = 16 << 20

// Look returns what the files hold now.
func Look(paths []string) Snapshot {
	s := make(Snapshot, len(paths))
	for _, path := range paths {
		content, err := Read(path, "a file", maxWatched)
		s[path] = digestOf(err, content)
	}
	return s
}

// Changed reports whether the files hold something else than what was accepted, and held the same at the last call. It then accepts
// what they hold.
func (w *Watch) Changed(paths []string) bool {
	now := Look(paths)
	settled := maps.Equal(now, w.last) && !maps.Equal(now, w.accepted)
	w.last = now
	if settled {
		w.accepted = now
	}
	return settled
}

// Accept notes that the files were read after the snapshot was taken.
func (w *Watch) Accept(s Snapshot) { w.accepted, w.last = s, s }

// With returns the snapshot for another list of paths. It looks at those that the snapshot does not have.
func (s Snapshot) With(paths []string) Snapshot {
	other := make(Snapshot, len(paths))
	var missing []string
	for _, path := range paths {
		if d, has := s[path]; has {
			other[path] = d
		} else {
			missing = append(missing, path)
		}
	}
	maps.Copy(other, Look(missing))
	return other
}
