def test_head(guest, loaded_module):
    assert guest.succeed("head -n 5 /dev/fibonacci").split() == ["0","1","1","2","3"]
