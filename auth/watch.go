package auth

import (
	"context"
	"crypto/sha256"
	"time"
)

// lookEvery is how often the file is looked at.
const lookEvery = time.Second

// look is what a look at the file found: a hash of its content, or why it could not be read.
type look struct {
	content [sha256.Size]byte
	err     string
}

func lookAt(text []byte, err error) look {
	if err != nil {
		return look{err: err.Error()}
	}
	return look{content: sha256.Sum256(text)}
}

// Run takes in what is written to the file until ctx ends. changed is told of each new content: why it is not taken and
// the keys before stay in force, or nil.
//
// The content is looked at rather than the time of its last change: what Kubernetes mounts changes by a link. And it
// counts when two looks found the same, so that nobody's key is gone while a file is being written.
func (k *Keys) Run(ctx context.Context, changed func(error)) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for last := k.judged; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		text, err := read(k.file)
		now := lookAt(text, err)
		if now == last && now != k.judged {
			k.judged = now
			changed(k.take(text, err))
		}
		last = now
	}
}
