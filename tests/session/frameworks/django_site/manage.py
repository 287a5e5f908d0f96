"""A Django site of one application; DATABASE is the path of a SQLite file, or the folder of a PostgreSQL's socket and a database's name."""

import os
import sys

folder, _, name = os.environ["DATABASE"].partition(" ")
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": folder, "NAME": name, "USER": "postgres"} if name else
             {"ENGINE": "django.db.backends.sqlite3", "NAME": folder}}
SECRET_KEY, ALLOWED_HOSTS, ROOT_URLCONF = "x", ["testserver"], "urls"
USE_TZ, TIME_ZONE = True, "Europe/Istanbul"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The quickest: the passwords here are no secrets.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                  "django.contrib.messages", "harbour"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
    "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages"]}}]
STATIC_URL = "/static/"

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "manage"
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
