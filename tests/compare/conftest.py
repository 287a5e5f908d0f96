"""The option that these tests share with the other outside tests."""


def pytest_addoption(parser):
    parser.addoption("--pg-config", required=True, help="of any PostgreSQL; the extension is not needed")
