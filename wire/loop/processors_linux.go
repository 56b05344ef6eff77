package loop

import (
	"os"
	"runtime"
	"sync"
	"time"
)

// processors says how many loops run, in the whole process. Go's scheduler has one processor more for each.
var processors struct {
	sync.Mutex             // held while the number of Go's processors changes
	loops      int         // guarded by the Mutex
	next       *time.Timer // of takeQuota; guarded by the Mutex; nil without loops
}

// quotaInterval is the time between two looks at the quota of the container. Each stops all of Go's threads twice, for less than 0.1 ms.
const quotaInterval = 30 * time.Second

// addProcessors notes that loops have begun to run, or have ended if their number is negative. As long as loops run, takeQuota is called now
// and then.
func addProcessors(loops int) {
	p := &processors
	p.Lock()
	defer p.Unlock()
	p.loops += loops
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + loops)
	switch {
	case p.loops == 0:
		p.next.Stop() // a call that is under way does nothing
		p.next = nil
	case p.next == nil:
		p.next = time.AfterFunc(quotaInterval, takeQuota)
	}
}

// takeQuota gives Go's scheduler the processors of the container's quota, and those of the loops. Go's runtime follows a quota that changes
// only as long as the number of processors is its own choice. An operator's choice stands.
func takeQuota() {
	p := &processors
	p.Lock()
	defer p.Unlock()
	if p.next == nil || os.Getenv("GOMAXPROCS") != "" {
		return
	}
	runtime.SetDefaultGOMAXPROCS()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + p.loops)
	p.next.Reset(quotaInterval)
}
