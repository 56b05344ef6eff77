package pins

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
	"unsafe"
)

// Blocks are aligned, do not overlap, and leave less than a huge page at either end.
func TestBlocks(t *testing.T) {
	for _, n := range []int{0, 1, 50_000, 1_000_000} {
		array := make([]entry, n)
		begin, size := uintptr(unsafe.Pointer(unsafe.SliceData(array))), uintptr(n)*unsafe.Sizeof(entry{})
		var first, end uintptr
		for i, b := range blocksOf(array) {
			at := uintptr(unsafe.Pointer(&b[0]))
			if len(b) != hugePage || at%hugePage != 0 || i > 0 && at != end {
				t.Fatalf("block %d: %d bytes at %x, after %x", i, len(b), at, end)
			}
			if i == 0 {
				first = at
			}
			end = at + hugePage
		}
		if end == 0 {
			if size >= 2*hugePage {
				t.Errorf("no blocks in %d bytes", size)
			}
			continue
		}
		if first < begin || first-begin >= hugePage || end > begin+size || begin+size-end >= hugePage {
			t.Errorf("blocks from %x to %x in %x..%x", first, end, begin, begin+size)
		}
		runtime.KeepAlive(array)
	}
}

// A map uses huge pages once most of it is used, a few at a time, and holds the same pins afterwards.
func TestUseHugePages(t *testing.T) {
	if testing.Short() {
		t.Skip("3 million entries")
	}
	const n, capacity = 2_400_000, 3_000_000
	m := NewMap(capacity, time.Hour)
	now := time.Now()
	all := len(m.blocks)
	for k := range n {
		if k == n/2 && (UseHugePages(m, all) || len(m.blocks) != all) {
			t.Fatal("a map that is 40 % full uses huge pages")
		}
		m.Set(testKey(uint64(k)), ref(k%8, 1), now)
	}
	debug.FreeOSMemory() // of earlier maps, which may have huge pages
	before, able := hugeBytes(t), canUseHugePages(t)
	if !UseHugePages(m, 1) || len(m.blocks) != all-1 {
		t.Fatalf("%d of %d blocks are left after one", len(m.blocks), all)
	}
	if UseHugePages(m, all) || len(m.blocks) != 0 {
		t.Errorf("%d of %d blocks are left", len(m.blocks), all)
	}
	if got := hugeBytes(t) - before; able && got < all*hugePage/2 {
		t.Errorf("%d bytes are in huge pages, want most of %d", got, all*hugePage)
	}
	for k := range n {
		if got, _ := m.Peek(testKey(uint64(k)), now); got != ref(k%8, 1) {
			t.Fatalf("pin %d is lost", k)
		}
	}
}

// canUseHugePages reports whether the kernel moves memory into huge pages.
func canUseHugePages(t *testing.T) bool {
	memory := make([]byte, 2*hugePage)
	for at := range memory {
		memory[at] = 1
	}
	before := hugeBytes(t)
	useHugePage(blocksOf(memory)[0])
	defer runtime.KeepAlive(memory)
	return hugeBytes(t) > before
}

// hugeBytes returns how much memory of this process is in huge pages, 0 if the system does not tell.
func hugeBytes(t *testing.T) int {
	t.Helper()
	f, err := os.Open("/proc/self/smaps_rollup")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kb int
		if n, _ := fmt.Sscanf(lines.Text(), "AnonHugePages: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	return 0
}

// The default map, of a million pins, uses none.
func TestSmallMapsUseNoHugePages(t *testing.T) {
	if m := NewMap(Default().Max, time.Hour); len(m.blocks) > 0 {
		t.Errorf("%d blocks", len(m.blocks))
	}
}
