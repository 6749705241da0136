package image

// WithHook has f called before every operation on the host that is not the layer
// writer's, to fail it.
func WithHook(f func(op, name string) error) Option { return func(o *options) { o.hook = f } }
