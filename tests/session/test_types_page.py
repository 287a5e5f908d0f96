"""docs/types.md says what an import does with each kind of value in each type, and a foreign table does the same."""

import types_page


def test_the_page_is_what_an_import_does_and_foreign_tables_do_the_same(connection, files):
    path = files / "values.db"
    imported = types_page.outcomes_of_import(connection, path)
    declared = types_page.declared_types(connection, files / "declared.db")
    assert types_page.page(imported, declared) == types_page.PAGE.read_text(encoding="utf-8"), "run tests/session/types_page.py"
    # An error in place of the value, and else the value whether or not an import counts a warning.
    expected = {place: word if len(word) == 5 and word[0].isdigit() else value for place, (value, word) in imported.items()}
    assert types_page.outcomes_of_foreign(connection, path) == expected
