//go:build !race

package identity

const poolsForget = false
