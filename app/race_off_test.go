//go:build !race

package app

const detector = false
