"""Alembic's environment: the database is the one in DATABASE_URL, the tables are those of models.py."""

import os

from alembic import context
from sqlalchemy import create_engine

from models import Base

engine = create_engine(os.environ["DATABASE_URL"])
with engine.connect() as connection:
    # Batches are Alembic's way to ALTER a table in SQLite.
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
