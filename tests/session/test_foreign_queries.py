"""A query over foreign tables and the same over their copies in PostgreSQL agree: tables and queries by chance, the same each time.

tests/session/foreign_queries.py asks thousands where these ask hundreds.
"""

import pytest

from foreign_queries import Comparison, create_database


@pytest.mark.parametrize("locale", ["C.UTF-8", "tr_TR.UTF-8", "icu:tr"])
def test_queries_over_foreign_tables_and_their_copies_agree(cluster, files, locale):
    if not create_database(cluster, "generated", locale):
        pytest.skip(f"this server has no {locale}")
    connection = cluster.connect("generated")
    comparison = Comparison(connection)
    for seed in range(1, 9):
        found = list(comparison.database(seed, files / "generated.db", 30))
        assert not found, "\n".join(found)
    assert comparison.asked > 300
    # Most queries have an answer.
    assert sum(comparison.failed.values()) < comparison.asked / 10
    connection.close()
