package cimlayer

// WithHook has f called before every operation on what stands beside an image, to
// fail it.
func WithHook(f func(op, name string) error) Option { return func(o *options) { o.hook = f } }

// Visited returns how many names of its image a reader has read.
func (r *Reader) Visited() int { return r.visited }
