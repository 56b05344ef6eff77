//go:build !race

package loop

func synchronizeReceived() {}
func synchronizeSend()     {}
