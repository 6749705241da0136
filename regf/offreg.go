package regf

// QueryValue is ORGetValue: the type and size of a value, below an optional path, and its
// data in buf. A nil buffer requests type and size only; if buf is too small, the error is
// ErrMoreData and the size is the required one.
func (k Key) QueryValue(path, name string, buf []byte) (Type, int, error) {
	if path != "" {
		s, err := k.Open(path)
		if err != nil {
			return 0, 0, err
		}
		k = s
	}
	v, err := k.Value(name)
	if err != nil {
		return 0, 0, err
	}
	n, err := v.CopyData(buf)
	return v.Type(), n, err
}

// CopySecurity is ORGetKeySecurity: the descriptor in buf and its size. If buf is too small
// or nil, the error is ErrMoreData and the size is the required one.
func (k Key) CopySecurity(buf []byte) (int, error) {
	sd, err := k.Security()
	if err != nil {
		return 0, err
	}
	if len(buf) < len(sd) {
		return len(sd), k.err("read security", ErrMoreData)
	}
	return copy(buf, sd), nil
}
