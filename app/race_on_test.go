//go:build race

package app

// detector says that the race detector is on, which makes a turn several times as dear. Long tests are shorter then: make test also runs them in full,
// without it.
const detector = true
