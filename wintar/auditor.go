package wintar

import (
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
)

// An auditor runs the audit of the entries that Check decodes. It does so in a goroutine of
// its own, a few batches behind, and yields all findings in the order in which a serial check
// has them. Its methods are called by the goroutine of Check, which calls the yield function,
// too.
type auditor struct {
	audit layer.Audit
	yield func(finding.Finding)

	serial bool // audit at once; it is what the other way is compared with in tests

	current *auditBatch
	made    int
	todo    chan *auditBatch // has room for all batches; nil before the goroutine starts
	done    chan auditResult
	closed  bool // todo is closed
}

const (
	auditBatches = 4 // in use at a time
	// A batch is full when it has as many entries and streams, or findings, or as many
	// bytes of metadata.
	auditSteps    = 256
	auditFindings = 256
	auditMetadata = 1 << 20
)

// auditBatch is a part of the layer.
type auditBatch struct {
	steps    []auditStep
	metadata int64
	found    []placedFinding // by Check itself, in the order of steps
}

// auditResult is what the audit of a batch has found. If it is much, there are several
// results, so that the findings that wait are bounded.
type auditResult struct {
	batch *auditBatch
	found []placedFinding
	last  bool // of the batch
}

// auditStep is an entry with its main stream, or an alternate stream of the last entry.
type auditStep struct {
	entry         layer.Entry
	index, offset int64
	stream        int64 // size of a stream, -1 for none
	alternate     bool  // entry is not set
}

// placedFinding is a finding between the audits of steps.
type placedFinding struct {
	step int // behind as many
	finding.Finding
}

// report yields a finding behind those of the steps until now.
func (a *auditor) report(f finding.Finding) {
	if a.serial {
		a.yield(f)
		return
	}
	b := a.batch()
	b.found = append(b.found, placedFinding{len(b.steps), f})
	if len(b.found) >= auditFindings {
		a.send()
	}
}

// entry audits an entry, and its main stream unless size is -1. The entry itself may change
// afterwards, but not what it points to.
func (a *auditor) entry(e *layer.Entry, index, offset, size int64) {
	if a.serial {
		a.audit.Entry(e, index, offset)
		if size >= 0 {
			a.audit.Stream(e, size)
		}
		return
	}
	a.add(auditStep{*e, index, offset, size, false}, e.MetadataSize())
}

// alternate audits an alternate stream of e, which is the last entry.
func (a *auditor) alternate(e *layer.Entry, size int64) {
	if a.serial {
		a.audit.Stream(e, size)
		return
	}
	a.add(auditStep{stream: size, alternate: true}, 0)
}

func (a *auditor) add(s auditStep, metadata int64) {
	b := a.batch()
	b.steps = append(b.steps, s)
	if b.metadata += metadata; len(b.steps) == auditSteps || b.metadata >= auditMetadata {
		a.send()
	}
}

// batch returns the batch that is being filled.
func (a *auditor) batch() *auditBatch {
	if a.current != nil {
		return a.current
	}
	if a.made < auditBatches {
		a.made++
		a.current = &auditBatch{steps: make([]auditStep, 0, auditSteps)}
		return a.current
	}
	for {
		r := <-a.done
		a.tell(r)
		if r.last {
			a.current = r.batch
			return r.batch
		}
	}
}

// send passes the current batch to the goroutine.
func (a *auditor) send() {
	if a.current == nil {
		return
	}
	if a.todo == nil {
		a.todo, a.done = make(chan *auditBatch, auditBatches), make(chan auditResult, auditBatches)
		go a.run()
	}
	a.todo <- a.current
	a.current = nil
}

// run audits batches. It waits for the goroutine of Check if that is behind.
func (a *auditor) run() {
	defer close(a.done)
	var last layer.Entry
	for b := range a.todo {
		a.auditBatch(b, &last, func(r auditResult) { a.done <- r })
	}
}

// auditBatch audits one batch; last is the last entry of the one before it, and then of this
// one.
func (a *auditor) auditBatch(b *auditBatch, last *layer.Entry, done func(auditResult)) {
	var found []placedFinding
	step := 0
	a.audit.Report = func(f finding.Finding) {
		if found = append(found, placedFinding{step, f}); len(found) == auditFindings {
			done(auditResult{batch: b, found: found})
			found = nil
		}
	}
	e := last
	for i := range b.steps {
		s := &b.steps[i]
		step = i
		if !s.alternate {
			e = &s.entry
			a.audit.Entry(e, s.index, s.offset)
		}
		if s.stream >= 0 {
			a.audit.Stream(e, s.stream)
		}
	}
	*last = *e
	done(auditResult{b, found, true})
}

// tell yields the findings of a result, and empties a batch whose last one it is.
func (a *auditor) tell(r auditResult) {
	b := r.batch
	for _, f := range r.found {
		for len(b.found) > 0 && b.found[0].step <= f.step {
			a.yield(b.found[0].Finding)
			b.found = b.found[1:]
		}
		a.yield(f.Finding)
	}
	if !r.last {
		return
	}
	for _, f := range b.found {
		a.yield(f.Finding)
	}
	clear(b.steps)
	*b = auditBatch{steps: b.steps[:0]}
}

// flush yields the findings until now and ends the goroutine. Nothing is audited after it.
func (a *auditor) flush() {
	if a.todo == nil { // the layer is too small to need the goroutine
		if b := a.current; b != nil {
			a.current = nil
			a.auditBatch(b, &layer.Entry{}, a.tell)
		}
		return
	}
	a.send()
	a.end()
	for r := range a.done {
		a.tell(r)
	}
}

// finish yields the findings until now, and those that only the end of the layer reveals.
func (a *auditor) finish() {
	a.flush()
	a.audit.Report = a.yield
	a.audit.Finish()
}

// end lets the goroutine end when it has audited what it was passed.
func (a *auditor) end() {
	if a.todo != nil && !a.closed {
		a.closed = true
		close(a.todo)
	}
}

// close ends the goroutine without yielding anything more. It may be called at any time.
func (a *auditor) close() {
	if a.end(); a.todo != nil {
		for range a.done {
		}
	}
}
