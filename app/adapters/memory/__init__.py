"""Every port in one process: the unit tests' fakes and the offline demo."""
