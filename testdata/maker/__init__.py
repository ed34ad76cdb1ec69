"""The models of testdata, by kind of fault. `make.py` beside this folder is the entry."""
