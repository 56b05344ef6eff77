//go:build !linux

package pins

func useHugePage([]byte) {}
