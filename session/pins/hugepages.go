package pins

import "unsafe"

const (
	// hugePage is the size of a huge page, of x86-64 and of arm64 with pages of 4 KiB.
	hugePage = 2 << 20
	// leastBlocks is the number of huge pages of a map, 128 MiB or 3 million pins, from which on it uses them. A smaller map would gain 60 ns a
	// look-up, and pay for what it does not use: 6 MB of a million pins.
	leastBlocks = 64
	// hugeBatch is the number of huge pages that are made at a time. Each takes some milliseconds, in which a request waits whose pin is there.
	hugeBatch = 4
)

// UseHugePages has the kernel move the memory of m into huge pages, up to limit of them, once three quarters of it are used. It reports
// whether there is more to move. Run calls it, and a benchmark that has no Run.
//
// Each access to a large map waits for the tables of its pages, too. These fit into the caches of the processor if pages are huge: at 10
// million pins a look-up takes 390 ns of CPU instead of 500. A map that holds few pins takes no memory for it.
func UseHugePages(m *Map, limit int) (more bool) {
	if len(m.blocks) == 0 || !isMostlyUsed(m) {
		return false
	}
	n := min(limit, len(m.blocks))
	for _, block := range m.blocks[:n] {
		useHugePage(block)
	}
	m.blocks = m.blocks[n:]
	return len(m.blocks) > 0
}

// isMostlyUsed reports whether three quarters of the entries are or were in use.
func isMostlyUsed(m *Map) bool {
	used, all := 0, 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		used, all = used+len(s.entries), all+cap(s.entries)
		s.mu.Unlock()
	}
	return 4*used >= 3*all
}

// blocksOf returns the parts of an array that a huge page can hold.
func blocksOf[T any](array []T) (blocks [][]byte) {
	var one T
	memory := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(array))), len(array)*int(unsafe.Sizeof(one)))
	begin := int(-uintptr(unsafe.Pointer(unsafe.SliceData(memory))) % hugePage)
	for at := begin; at+hugePage <= len(memory); at += hugePage {
		blocks = append(blocks, memory[at:at+hugePage])
	}
	return blocks
}
